"""``headway language-server``: problems, completion and help of pipeline files for editors, by the protocol LSP."""
