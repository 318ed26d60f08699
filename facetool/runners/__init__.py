"""Running ``embed``: the work on shards, in processes of this machine or on Ray."""
