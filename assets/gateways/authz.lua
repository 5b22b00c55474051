-- Asks Countersign's broker about a call. The answer is left in variables of the transaction; without one the status
-- stays unset, and haproxy.cfg refuses.
local address = os.getenv("COUNTERSIGN_AUTHZ")
local token = os.getenv("COUNTERSIGN_GATEWAY_TOKEN")

local said = { "credential", "client", "subject", "scopes", "expires", "decision" }

local function first(headers, name)
  local values = headers and headers[name]
  return values and values[0]
end

core.register_action("countersign", { "http-req" }, function(txn)
  local headers = {
    ["countersign-gateway-token"] = { token },
    ["x-original-method"] = { txn.sf:method() },
    ["x-original-uri"] = { txn.sf:pathq() },
    ["x-real-ip"] = { txn.sf:src() },
  }
  local shown = txn.http:req_get_headers()["authorization"]
  if shown then
    headers["authorization"] = {}
    for place = 0, #shown do
      if shown[place] then
        table.insert(headers["authorization"], shown[place])
      end
    end
  end
  local answer = core.httpclient():get({ url = address, headers = headers, timeout = 2000 })
  if not answer or not answer.status then
    return
  end
  txn:set_var("txn.countersign_status", tostring(answer.status))
  txn:set_var("txn.countersign_challenge", first(answer.headers, "www-authenticate") or "Bearer")
  if answer.status == 200 then
    for _, name in ipairs(said) do
      local value = first(answer.headers, "x-countersign-" .. name)
      if not value then
        -- Part of an answer is none.
        txn:set_var("txn.countersign_status", "503")
        return
      end
      txn:set_var("txn.countersign_" .. name, value)
    end
  end
end)
