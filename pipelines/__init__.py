"""The pipeline language: text and triggers in, plans out. Nothing here touches a disk, a network or a clock."""
