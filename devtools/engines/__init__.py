"""Private database servers for a checkout: found, fetched, started and stopped without root or system services.

`mysql`, `mariadb` and `postgres` each know one engine: where its programs may be and with which flags it runs.
`choice` tries the places in order, `server` runs what was chosen.
"""
