-- Begin the next attempt at this revision.
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["syncrollout.io/retry"] = "in Argo CD" .. " (" .. os.date("!%Y-%m-%dT%H:%M:%SZ") .. ")"
-- Argo CD acts under its own name here; who pressed the button stands in its log.
obj.metadata.annotations["syncrollout.io/requested-by"] = "system:serviceaccount:argocd:argocd-server"
return obj
