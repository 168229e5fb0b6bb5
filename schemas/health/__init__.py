"""How the system is: lag, the canary, checks, and what each finding means.

lag           figures of every hop
lag_status    the status of a partition, judged by samples
lag_findings  what is said of each hop
check_result  a line of `doctor`, and which lines follow from another
needs         what each line of `doctor` needs
witness       the evidence that all is well
rounds        whether the regular work is still done
shape         what is there of everything configured, and what of it differs
canary        the canary's records, and the rule of what is said when it does not
              come back
severity      how bad a finding of `lag` is
anomalies     what happened to topics and group, told from their figures and notes
lag_report    the worst hop in words; monitoring plugin lines
metrics       every metric, once
blocker       the session that holds what we wait for, in words
"""
