"""Where the files of a model are, and what they say without being loaded.

hub          find them: a folder, or the local cache of the model hub
download     fetch them into that cache
layout       dimensions, pooling and token limit, from the configuration
fingerprint  the model id
disk_room    check the free disk space
misspelt     guess which built-in model was meant
"""
