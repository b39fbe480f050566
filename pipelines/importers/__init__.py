"""Pipeline files of other CI systems as files of ours: text in, files and remarks out."""
