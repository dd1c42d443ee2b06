-- Take the hold away.
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["syncrollout.io/hold"] = nil
-- Argo CD acts under its own name here; who pressed the button stands in its log.
obj.metadata.annotations["syncrollout.io/requested-by"] = "system:serviceaccount:argocd:argocd-server"
return obj
