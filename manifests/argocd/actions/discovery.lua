-- Which actions Argo CD offers for a SyncRollout at the moment. Each sets an annotation, as kubectl syncrollout does.
local status = obj.status or {}
local annotations = obj.metadata.annotations or {}
local state = status.state

local moving = state == "Progressing" or state == "Holding" or state == "Paused" or state == "AwaitingApproval"
local watched = state == "Completed" and status.watch ~= nil
local held = annotations["syncrollout.io/hold"] ~= nil
local incident = status.incident
local undecided = incident ~= nil and incident.overridden == nil

return {
  ["approve"] = {disabled = state ~= "AwaitingApproval", iconClass = "fa fa-fw fa-check", displayName = "Approve this phase"},
  ["hold"] = {disabled = held or not moving, iconClass = "fa fa-fw fa-pause", displayName = "Hold"},
  ["resume"] = {disabled = not held, iconClass = "fa fa-fw fa-play", displayName = "Resume"},
  ["continue"] = {disabled = not undecided, iconClass = "fa fa-fw fa-forward", displayName = "Go on in spite of the incident"},
  ["rollback"] = {disabled = not (moving or watched), iconClass = "fa fa-fw fa-undo", displayName = "Roll back, now"},
  ["retry"] = {disabled = state ~= "RolledBack", iconClass = "fa fa-fw fa-redo", displayName = "Begin the next attempt"},
}
