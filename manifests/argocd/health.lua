-- What Argo CD shows of a SyncRollout. A sync wave goes on once it is Healthy, and ends where it is Degraded.
--
--   Completed                                   Healthy
--   Paused, AwaitingApproval, and an incident
--   that waits for a person's decision          Suspended
--   RollingBack, RolledBack, Stalled            Degraded
--   all else                                    Progressing
local status = obj.status
if status == nil or status.state == nil then
  return {status = "Progressing", message = "The operator has not looked at it yet"}
end

local message = status.message
if message == nil or message == "" then
  message = status.state
end

local seen = status.observedGeneration
if seen == nil or (obj.metadata.generation ~= nil and seen < obj.metadata.generation) then
  return {status = "Progressing", message = "The operator has not seen the latest edit yet. Before it: " .. message}
end

local stalled = false
if status.conditions ~= nil then
  for _, condition in ipairs(status.conditions) do
    if condition.type == "Stalled" and condition.status == "True" then
      stalled = true
    end
  end
end

local incident = status.incident
local undecided = incident ~= nil and incident.severity == "Medium" and incident.overridden == nil

if status.state == "Completed" then
  return {status = "Healthy", message = message}
elseif status.state == "RollingBack" or status.state == "RolledBack" or stalled then
  return {status = "Degraded", message = message}
elseif status.state == "Paused" or status.state == "AwaitingApproval" or undecided then
  return {status = "Suspended", message = message}
end
return {status = "Progressing", message = message}
