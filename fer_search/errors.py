"""The one exception that the command line turns into a line on stderr."""


class UserError(Exception):
    """Something that the user can mend: a path, an option, a file's content.

    The message is one plain line that names the file or option and the way out. The command line prints it on stderr
    without a traceback (``--debug`` shows one) and exits with ``exit_code``.

    Args:
        message: the line.
        exit_code: the exit code of the command (2: usage or input).
    """

    def __init__(self, message: str, exit_code: int = 2) -> None:
        super().__init__(message)
        self.exit_code = exit_code
