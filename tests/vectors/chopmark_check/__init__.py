"""Chopmark 1 in Python, written from SPEC.md alone.

Nothing here is a product: secrets are not wiped, nothing runs in constant time. It exists so that the test vectors are
reproduced by something that shares no line with the Rust code. One module is one section of SPEC.md; `areas` says
which module reproduces which vector files.
"""
