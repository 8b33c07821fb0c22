"""Runs the command line: `python -m service …` does the same as `doorcode …`."""

from service.cli import main

if __name__ == "__main__":
    main()
