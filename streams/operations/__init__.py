"""What an operator asks: lag, doctor, the demo.

witness            how far the canary came outside Postgres
doctor             who is asked, how long, and what depends on what
doctor_migrations  what it says of migrations that are under way
lag                everything that can be behind, read once
demo               the whole path, told step by step
"""
