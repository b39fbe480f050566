"""The commands of the processes behind the web server: worker, scheduler, database."""
