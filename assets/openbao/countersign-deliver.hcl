# What the token of a `kv2` destination may do: write secrets where services read them. Narrow the paths to the
# prefixes that the destination is configured with, and the mount if it is another one.
#
#   bao policy write countersign-deliver countersign-deliver.hcl
#   bao token create -policy=countersign-deliver -no-default-policy -orphan -period=24h -display-name=countersign-deliver

# Claiming a path, and seeing what is there.
path "secret/metadata/*" {
  capabilities = ["create", "update", "read"]
}
# Writing a version, and reading it back.
path "secret/data/*" {
  capabilities = ["create", "update", "read"]
}

# Its own token.
path "auth/token/lookup-self" {
  capabilities = ["read"]
}
path "auth/token/renew-self" {
  capabilities = ["create", "update"]
}
