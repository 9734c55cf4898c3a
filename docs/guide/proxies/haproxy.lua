-- Asks Portcullis whether a request may pass: `http-request lua.portcullis URL ORGANIZATION`. Needs HAProxy 2.6.
--
-- Whatever is not a clear yes refuses, a Portcullis that does not answer too. Nothing is kept from one request to the
-- next, so that off-boarding works from the next request on.

-- How long Portcullis may take, in milliseconds.
local TIMEOUT_MS = 5000

local function refuse(txn, status)
    local reply = txn:reply()
    reply:set_status(status)
    if status == 401 then
        reply:add_header("www-authenticate", 'Bearer realm="portcullis"')
    end
    txn:done(reply)
end

core.register_action("portcullis", { "http-req" }, function(txn, portcullis, organization)
    local came = txn.http:req_get_headers()
    local asked = {}
    for _, name in ipairs({ "authorization", "cookie" }) do
        if came[name] ~= nil then
            asked[name] = came[name]
        end
    end
    local answer = core.httpclient():get({
        url = portcullis .. "/authz/forward?organization=" .. organization,
        headers = asked,
        timeout = TIMEOUT_MS,
    })
    local status = answer and answer.status or 503
    if status ~= 200 then
        -- What is neither of the two is no answer to the question.
        refuse(txn, (status == 401 or status == 403) and status or 503)
        return
    end
    for name, values in pairs(answer.headers) do
        if string.find(name, "^x%-portcullis%-") then
            txn.http:req_set_header(name, values[0])
        end
    end
end, 2)
