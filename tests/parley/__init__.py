"""What the tests of the real stack share.

stack    starts and stops a whole Parley in a temporary directory, and kills parts of it
keys     reading and rotating the signing keys
cluster  a PostgreSQL that belongs to the test, for what an existing database has to be tried on
procs    looking at processes: which belong to a directory, which are children of which
api      a thin HTTP client, one class per dialect
sockets  a WebSocket client, one class per dialect
presence who is online, as sockets are told and the database has it
metrics  what services say about themselves, and what of it has moved
mail     an SMTP server that can be told what to do, couriers run by hand
traffic  senders that retry and receivers that reconnect, for the tests that break things
tokens   forging JWTs, reading the key file
check    the contract's shapes as assertions
wait     polling until something holds
"""
