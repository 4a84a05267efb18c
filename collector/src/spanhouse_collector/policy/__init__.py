"""The proxy's opt-in policies: cache, retries, fallbacks, limits, upstream pools, stored keys.

None of them does anything unless a request header or the operator's policy file asks for it. The
modules are plain objects that know nothing of the relay; ``engine`` is where they meet a call.
"""
