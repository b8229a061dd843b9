"""Queries: the routes that read records.

`endpoints` has the routes, `parameters` and `responses` their models; `downloads` and `live_tail` stream. The route
`/services` is in `watched_services`, which folds `monitor_events` into `monitor_history`. SQL is in the store.
"""
