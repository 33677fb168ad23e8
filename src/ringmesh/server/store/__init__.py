"""Where applications, users and sessions are kept.

`contract` says what a store promises; `sql` keeps the promise with SQLAlchemy; `sqlite` opens a
database file. The rest of the server knows only the contract.
"""
