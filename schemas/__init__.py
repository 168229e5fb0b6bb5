"""What flows: shapes and pure rules. No I/O; imports nothing of the other packages.

rows        Tables, columns and rows, and the rule that says whether a vector is
            true
messages    What travels through Kafka: change events, replay chunks, dead letters
settings    Settings: every value that can be set, and how they are read
health      How the system is: lag, the canary, checks, and what each finding means
reports     What commands ask for and what they report
errors      the tree of errors; a class says what must be done
duration    `30s` in, `12.3 s` out; times in RFC 3339
sizes       bytes as people read them: `912 MB`, `1.5 MiB`
extras      the optional packages, and the extra that installs each
command     the command as it was typed, for what says "repeat"
printable   text from outside as it may be shown: nothing in it commands a terminal
text_lines  lines and JSON from outside: anything else is refused with its place
"""
