"""Limits of shells in running steps. A slow browser, or a lost one, must hold neither memory nor a job."""

SHELLS_OF_JOB_MAX = 4
"""At once. A process of a worker runs one job at a time, so a worker has this many for each of its slots."""
SHELLS_OPENED_BY_JOB_MAX = 1_000
"""In the life of one job: the worker remembers their ids, so that a request opens one shell, however often it comes."""
SHELL_IDLE_S_MAX = 15 * 60
"""Without a key."""
SHELL_S_MAX = 60 * 60
MESSAGE_BYTES_MAX = 16 * 1024
"""Of what is typed or pasted at once, and of a piece of output."""
WAITING_MESSAGES_MAX = 16
"""In Redis, of each direction, before their sender waits."""
WAITING_LIFETIME_S = 120
"""For which Redis keeps messages that no process takes."""
ALIVE_EVERY_S = 5.0
SILENCE_S_MAX = 20.0
"""Without a message of the other side, which sends one every ``ALIVE_EVERY_S`` at least: it is lost then."""
OPENING_S_MAX = 15.0
"""From the request until the worker answers."""
CONTAINER_S_MAX = 10.0
"""For which a shell waits for the container of a step that has just begun."""
ROWS_MAX = 500
COLUMNS_MAX = 1_000
SENTENCE_CHARACTERS_MAX = 500
