"""``headway init``: writes a first pipeline file for what is in a repository."""
