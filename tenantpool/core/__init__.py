"""What should happen: state machines without I/O, clock, threads, asyncio or a driver.

Start with ``database.py``, where everything that can happen is a method.
"""
