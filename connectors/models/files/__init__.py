"""Where the files of a model are, and what they say without being loaded.

hub          where the files are; `pull` fetches them
layout       what they say without being loaded
fingerprint  the model id
disk_room    is there room on the disk
misspelt     which built-in name was likely meant
"""
