"""Backup and restore: one archive with the rows of all tables and, by choice, the keys and the logs.

``archive`` is the form of the file, ``tables`` the database's part, ``key_part`` and ``log_part`` the other two;
``backup`` and ``restore`` put them together.
"""
