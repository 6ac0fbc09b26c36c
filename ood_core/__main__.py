"""`python -m ood_core`: see `ood_core.commands._main`."""

import sys

from ood_core.commands._main import main

if __name__ == "__main__":
    sys.exit(main())
