"""User agents as browsers, apps, televisions and speakers send them: some 800 distinct ones."""

from __future__ import annotations

_CHROME = range(118, 132)
_WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
_DESKTOPS = (
    "Windows NT 10.0; Win64; x64",
    "Macintosh; Intel Mac OS X 10_15_7",
    "X11; Linux x86_64",
    "X11; CrOS x86_64 14541.0.0",
)
_ANDROIDS = (
    "SM-S918B", "SM-S928B", "SM-A546B", "SM-A256B", "SM-G991B", "Pixel 6", "Pixel 7", "Pixel 8",
    "Pixel 8 Pro", "moto g84 5G", "Redmi Note 13", "CPH2581",
)  # fmt: skip
_TABLETS = ("SM-X710", "SM-X210", "SM-T870", "Lenovo TB-X606F")
_IOS = ("16_6", "16_7", "17_0", "17_2", "17_4", "17_5", "17_6", "18_0", "18_1")


def _desktop() -> tuple[str, ...]:
    chrome = [
        f"Mozilla/5.0 ({system}) {_WEBKIT} Chrome/{version}.0.0.0 Safari/537.36"
        for version in _CHROME
        for system in _DESKTOPS
    ]
    edge = [
        f"Mozilla/5.0 ({_DESKTOPS[0]}) {_WEBKIT} Chrome/{v}.0.0.0 Safari/537.36 Edg/{v}.0.0.0"
        for v in _CHROME
    ]
    firefox = [
        f"Mozilla/5.0 ({system}; rv:{version}.0) Gecko/20100101 Firefox/{version}.0"
        for version in range(119, 134)
        for system in (_DESKTOPS[0], "Macintosh; Intel Mac OS X 10.15", _DESKTOPS[2])
    ]
    safari = [
        f"Mozilla/5.0 ({_DESKTOPS[1]}) AppleWebKit/605.1.15 (KHTML, like Gecko) "
        f"Version/{version} Safari/605.1.15"
        for version in ("16.5", "16.6", "17.0", "17.2", "17.4", "17.5", "17.6", "18.0", "18.1")
    ]
    return tuple(chrome + safari + edge + firefox)


def _phone() -> tuple[str, ...]:
    iphone = [
        f"Mozilla/5.0 (iPhone; CPU iPhone OS {ios} like Mac OS X) AppleWebKit/605.1.15 "
        f"(KHTML, like Gecko) Version/{ios.replace('_', '.')} Mobile/15E148 Safari/604.1"
        for ios in _IOS
    ]
    android = [
        f"Mozilla/5.0 (Linux; Android {release}; {model}) {_WEBKIT} Chrome/{version}.0.0.0 "
        "Mobile Safari/537.36"
        for version in (120, 124, 127, 128, 130, 131)
        for model in _ANDROIDS
        for release in (13, 14)
    ]
    samsung = [
        f"Mozilla/5.0 (Linux; Android 14; {model}) {_WEBKIT} SamsungBrowser/{version}.0 "
        "Chrome/121.0.0.0 Mobile Safari/537.36"
        for version in (25, 26)
        for model in _ANDROIDS[:5]
    ]
    return tuple(iphone + android + samsung)


def _phone_app() -> tuple[str, ...]:
    iphone = [
        f"Stallwerk/{version} (iPhone; iOS {ios.replace('_', '.')}; Scale/3.00)"
        for version in ("7.1.0", "7.2.1", "7.4.0")
        for ios in _IOS
    ]
    android = [
        f"Stallwerk/{version} (Linux; U; Android {release}; {model}) okhttp/4.12.0"
        for version in ("7.1.2", "7.3.0", "7.4.1")
        for model in _ANDROIDS
        for release in (13, 14)
    ]
    return tuple(iphone + android)


def _tablet() -> tuple[str, ...]:
    ipad = [
        f"Mozilla/5.0 (iPad; CPU OS {ios} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
        f"Version/{ios.replace('_', '.')} Mobile/15E148 Safari/604.1"
        for ios in _IOS
    ]
    android = [
        f"Mozilla/5.0 (Linux; Android 13; {model}) {_WEBKIT} Chrome/{version}.0.0.0 Safari/537.36"
        for version in _CHROME
        for model in _TABLETS
    ]
    return tuple(ipad + android)


def _tv() -> tuple[str, ...]:
    tizen = [
        f"Mozilla/5.0 (SMART-TV; LINUX; Tizen {version}) {_WEBKIT} {chrome} TV Safari/537.36"
        for version, chrome in (("6.0", "76.0.3809.146/6.0"), ("7.0", "94.0.4606.31/7.0"))
    ]
    webos = [
        f"Mozilla/5.0 (Web0S; Linux/SmartTV) {_WEBKIT} Chrome/{version}.0.0.0 Safari/537.36 "
        "WebAppManager"
        for version in (79, 87, 94, 108)
    ]
    return tuple(tizen + webos)


AGENTS = {
    "desktop": _desktop(),
    "phone": _phone(),
    "phone_app": _phone_app(),
    "tablet": _tablet(),
    "tv": _tv(),
    "speaker": tuple(f"HearthVoice/{v}.0 (speaker; arm64)" for v in range(3, 9)),
    "watch": tuple(f"Stallwerk Watch/{v} (Watch; watchOS {v}.1)" for v in (9, 10, 11)),
    "sensor": ("ThermoLink/1.4", "ThermoLink/1.5", "ThermoLink/2.0"),
}
"""By what sends them; popular ones come first."""
