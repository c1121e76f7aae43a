"""`make chaos`: people talk on every surface while parts of Parley are killed, stopped, restarted and cut off
from each other; then what was acknowledged is compared with what is stored, shown and heard.

people.py talks and listens, faults.py breaks things, links.py is the bad network between the parts, verdict.py
compares, report.py prints, run.py puts them together.
"""
