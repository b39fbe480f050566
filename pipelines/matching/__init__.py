"""Pattern matching in bounded time: globs, regular expressions, and the expressions of ``when.evaluate``."""
