# What the child token of one issuance may do: read one database login. Name the roles that the broker may mint
# (`roles` in its configuration) instead of the wildcard where there are others.
path "database/creds/*" {
  capabilities = ["read"]
}
