"""``headway doctor``: looks at what an installation needs, and says what to do where something is wrong.

It creates nothing. ``examine`` runs the checks side by side; each module beside it has some of them.
"""
