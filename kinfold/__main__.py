"""`python -m kinfold` is `kinfold`."""

import sys

from kinfold.cli import main

sys.exit(main())
