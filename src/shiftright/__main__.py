"""``python -m shiftright``."""

from shiftright.cli import main

if __name__ == "__main__":
    main()
