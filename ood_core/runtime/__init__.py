"""What every part stands on: folders of this machine, progress of long work, threads."""
