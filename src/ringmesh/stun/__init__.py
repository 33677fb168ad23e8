"""A small STUN and TURN client (RFC 8489, RFC 8656), for proving that such servers work.

Calls do not use it: the media engine has its own.
"""
