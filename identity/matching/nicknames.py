"""Names that stand for one another, written by hand: one group of English given names a line.

A name may be in several groups (ted: edward, edmund, theodore); two names are
nicknames of one another when they share a group, which is not transitive.
"""

from __future__ import annotations

_GROUPS = """
william will bill billy willie willy liam
robert rob bob bobby robbie bert
richard rick dick ricky richie dickie
john johnny jack jock johnnie jon
james jim jimmy jimmie jamie jem
joseph joe joey jos
charles charlie chas chuck charley
edward ed eddie ned ted teddy eddy
edwin ed eddie eddy
edmund ed eddie ned ted
thomas tom tommy thos tommie
henry harry hank hal
harold harry hal
george georgie geo
frederick fred freddie freddy
alfred fred alf alfie freddie freddy
francis frank frankie fran
franklin frank
arthur art artie
albert bert al bertie
herbert bert herb bertie
hubert bert hugh
gilbert bert gil
walter walt wally
david dave davy davey davie
daniel dan danny
samuel sam sammy
benjamin ben benny benji
matthew matt matty
michael mike mick mickey micky
patrick pat paddy rick
peter pete
philip phil pip phillip
stephen steve steven stevie
andrew andy drew
anthony tony ant
alexander alex alec sandy al xander sasha lex
nicholas nick nicky nicolas
christopher chris kit topher
joshua josh
jonathan jon jonny nathan
nathaniel nat nate nathan
zachary zach zack
jacob jake
gabriel gabe
gerald gerry jerry
jeremy jerry jem
jerome jerry
geoffrey geoff jeff jeffrey
gregory greg
kenneth ken kenny
ronald ron ronnie
donald don donnie
douglas doug
lawrence larry laurie lawrie laurence
leonard len lenny leo
louis lou lewis louie
raymond ray
roger rog
rodney rod
roland rowland roly
rudolph rudy
solomon sol
theodore ted theo teddy
timothy tim
tobias toby
victor vic
vincent vince vinny
ernest ernie ern
eugene gene
percival percy
reginald reg reggie rex
oliver ollie olly
isaac ike
abraham abe bram
augustus gus
archibald archie
bartholomew bart
clement clem
cornelius neil con
cuthbert bert
dominic dom
elizabeth liz beth betty lizzie eliza bess bessie libby betsy lisa elsie lily
mary molly polly mae may marie mamie
margaret maggie meg peggy marge margie greta rita madge daisy maisie
catherine kate katie cathy kitty kathy cate kay katherine kathryn katharine
anne ann annie nancy anna hannah nan
hannah annie nan
jane jenny janie janet jean
jennifer jen jenny jenn
jessica jess jessie
rebecca becky becca
victoria vicky tori vickie
susan sue susie suzy susanna susannah suzanne
sarah sally sadie sara
martha patty mattie
frances fanny fran frankie
caroline carrie caro carol
charlotte lottie lotte char charlie
christina chris tina chrissie christine
dorothy dot dolly dottie dora
eleanor ellie nell nora ella ellen nellie
ellen nell nellie ellie
helen nell nellie lena
emily em emma millie
amelia amy millie mia
isabella bella izzy isabel belle isobel
josephine jo josie
judith judy
julia julie
katrina kate tina
laura laurie lori
lillian lily lil lillie
louisa lou louise
lucy lucia lucille
lydia liddy
magdalene lena maggie
matilda tilly mattie maud
mildred millie
pamela pam
patricia pat patty trish tricia
philippa pip pippa
rachel rae
rosemary rose rosie
rose rosie
samantha sam sammy
sophia sophie
stephanie steph
susannah sukey
teresa terry tess tessa theresa
theodora dora theo
veronica ronnie vera
virginia ginny
winifred winnie freda fred
agnes aggie nessie
abigail abby gail
alexandra alex sandra lexi sasha
alice allie
barbara barb babs
beatrice bea trixie
bridget biddy
constance connie
cynthia cindy
deborah deb debbie
diana di
edith edie
esther hetty essie
florence flo florrie flossie
georgina georgie
gertrude gertie trudy
gwendolen gwen
harriet hattie harry
henrietta etta hetty hattie
jacqueline jackie
jemima mima
madeleine maddie maddy madeline
mohammed muhammad mohamed mo mohammad mohamad muhammed mehmet mhmd
ahmed ahmad achmed ahmet hmd
hussein husain hussain husayn hossein hsyn
hassan hasan hsn
yusuf youssef yousef youssouf yosef ywsf
ibrahim ebrahim ibrhym
abdullah abdallah abdulla
khalid khaled
omar umar
mustafa mostafa moustafa
fatima fatimah fatma fatema
aleksandr alexander aleksander alexandr oleksandr sasha sascha
alexei aleksei aleksey alexey oleksii
andrei andrey andrii andriy andre
dmitri dmitry dmitriy dimitri dmytro
evgeny evgeni evgenii evgeniy yevgeny yevgeni yevgeniy eugene
mikhail michail mykhailo misha
nikolai nikolay nicolai mykola
sergei sergey sergej serguei serhii
yuri yury yuriy iouri juri yurii
pyotr petr piotr petro
fyodor fedor feodor theodor
ekaterina yekaterina katerina katya kateryna
elena yelena olena jelena
natalia natalya nataliya natasha
tatiana tatyana tanya tetiana
yulia yuliya julia iulia yuliia
yelizaveta elizaveta liza
ksenia kseniya xenia oksana
giorgos georgios yiorgos giorgios
ioannis yannis giannis yiannis
dimitrios dimitris
konstantinos kostas costas
"""


def _table() -> dict[str, frozenset[int]]:
    table: dict[str, set[int]] = {}
    for number, line in enumerate(_GROUPS.strip().splitlines()):
        for name in line.split():
            table.setdefault(name, set()).add(number)
    return {name: frozenset(numbers) for name, numbers in table.items()}


_TABLE = _table()


def are_nicknames(left: str, right: str) -> bool:
    """Whether two folded given names share a group."""
    groups = _TABLE.get(left)
    if groups is None:
        return False
    others = _TABLE.get(right)
    return others is not None and not groups.isdisjoint(others)


def root(name: str) -> str:
    """One stand-in for a name and the nicknames of its first group; itself when in none."""
    groups = _TABLE.get(name)
    return f"~{min(groups)}" if groups else name
