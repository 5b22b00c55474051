# What the broker's own token may do at OpenBao, and nothing else. Set up once, by an administrator:
#
#   bao policy write countersign       countersign.hcl
#   bao policy write countersign-issue countersign-issue.hcl
#   bao write auth/token/roles/countersign orphan=true renewable=false \
#       token_no_default_policy=true allowed_policies=countersign-issue
#   bao token create -policy=countersign -no-default-policy -orphan -period=24h -display-name=countersign-broker
#
# Orphans, because other children end with the broker's token, and every login with them. Periodic, because the
# broker renews it as long as it runs. Break-glass (revoke-prefix, revoke-force) is left out: it belongs to a
# token of its own.

# One child token per issuance, made through the token role.
path "auth/token/create/countersign" {
  capabilities = ["create", "update"]
}

# Ending an attempt with everything it made, and reading until when it lives.
path "auth/token/lookup-accessor" {
  capabilities = ["create", "update"]
}
path "auth/token/revoke-accessor" {
  capabilities = ["create", "update"]
}

# Finding attempts that the broker lost track of (OpenBao asks for sudo here).
path "auth/token/accessors" {
  capabilities = ["list", "sudo"]
}
path "auth/token/accessors/" {
  capabilities = ["list", "sudo"]
}

# One lease at a time, by its id: the approved lifetime, the end, and the proof of the end.
path "sys/leases/lookup" {
  capabilities = ["create", "update"]
}
path "sys/leases/renew" {
  capabilities = ["create", "update"]
}
path "sys/leases/revoke" {
  capabilities = ["create", "update"]
}

# Its own token.
path "auth/token/lookup-self" {
  capabilities = ["read"]
}
path "auth/token/renew-self" {
  capabilities = ["create", "update"]
}
