"""The audit log: the list of actions, writing events, and listing them.

It may import paging, the database and the ground modules. It knows no user model: an event holds IDs only.
"""
