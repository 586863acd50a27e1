/**
 * The Tekton and Kubernetes types as Tekton Chains encodes them again (chains-provenance appendix A): Tekton Pipelines v1.15,
 * Kubernetes v0.36. One type a line, members in the order of the Go structs. What is not listed is dropped.
 *
 * `name:type` is left out when empty, `name!:type` never, `name~:time` when it is the zero time; `*T` is left out only when
 * absent. `value`, `time`, `duration`, `quantity`, `intOrString`, `raw` and `rawjson` are the scalars of appendix B.
 */
export const apiTypes = `
TaskRun: kind:string, apiVersion:string, metadata!:ObjectMeta, spec!:TaskRunSpec, status!:TaskRunStatus
ObjectMeta: name:string, generateName:string, namespace:string, selfLink:string, uid:string, resourceVersion:string, generation:int, creationTimestamp~:time, deletionTimestamp:*time, deletionGracePeriodSeconds:*int, labels:map[string]string, annotations:map[string]string, ownerReferences:[]OwnerReference, finalizers:[]string, managedFields:[]ManagedFieldsEntry
OwnerReference: apiVersion!:string, kind!:string, name!:string, uid!:string, controller:*bool, blockOwnerDeletion:*bool
ManagedFieldsEntry: manager:string, operation:string, apiVersion:string, time:*time, fieldsType:string, fieldsV1:*rawjson, subresource:string
TaskRunSpec: debug:*TaskRunDebug, params:[]Param, serviceAccountName!:string, taskRef:*TaskRef, taskSpec:*TaskSpec, status:string, statusMessage:string, retries:int, timeout:*duration, podTemplate:*PodTemplate, workspaces:[]WorkspaceBinding, stepSpecs:[]TaskRunStepSpec, sidecarSpecs:[]TaskRunSidecarSpec, computeResources:*ResourceRequirements, managedBy:*string
TaskRunDebug: breakpoints:*TaskBreakpoints
TaskBreakpoints: onFailure:string, beforeSteps:[]string
Param: name!:string, value!:value
TaskRef: name:string, kind:string, apiVersion:string, resolver:string, params:[]Param
TaskSpec: params:[]ParamSpec, displayName:string, description:string, steps:[]Step, volumes:[]Volume, stepTemplate:*StepTemplate, sidecars:[]Sidecar, workspaces:[]WorkspaceDeclaration, results:[]TaskResult
ParamSpec: name!:string, type:string, description:string, properties:map[string]PropertySpec, default:*value, enum:[]string
PropertySpec: type:string
Step: name!:string, displayName:string, image:string, command:[]string, args:[]string, workingDir:string, envFrom:[]EnvFromSource, env:[]EnvVar, computeResources!:ResourceRequirements, volumeMounts:[]VolumeMount, volumeDevices:[]VolumeDevice, imagePullPolicy:string, securityContext:*SecurityContext, script:string, timeout:*duration, workspaces:[]WorkspaceUsage, onError:string, stdoutConfig:*StepOutputConfig, stderrConfig:*StepOutputConfig, ref:*Ref, params:[]Param, results:[]StepResult, when:[]WhenExpression
EnvFromSource: prefix:string, configMapRef:*ConfigMapEnvSource, secretRef:*SecretEnvSource
ConfigMapEnvSource: name:string, optional:*bool
SecretEnvSource: name:string, optional:*bool
EnvVar: name!:string, value:string, valueFrom:*EnvVarSource
EnvVarSource: fieldRef:*ObjectFieldSelector, resourceFieldRef:*ResourceFieldSelector, configMapKeyRef:*ConfigMapKeySelector, secretKeyRef:*SecretKeySelector, fileKeyRef:*FileKeySelector
ObjectFieldSelector: apiVersion:string, fieldPath!:string
ResourceFieldSelector: containerName:string, resource!:string, divisor!:quantity
ConfigMapKeySelector: name:string, key!:string, optional:*bool
SecretKeySelector: name:string, key!:string, optional:*bool
FileKeySelector: volumeName!:string, path!:string, key!:string, optional:*bool
ResourceRequirements: limits:map[string]quantity, requests:map[string]quantity, claims:[]ResourceClaim
ResourceClaim: name!:string, request:string
VolumeMount: name!:string, readOnly:bool, recursiveReadOnly:*string, mountPath!:string, subPath:string, mountPropagation:*string, subPathExpr:string
VolumeDevice: name!:string, devicePath!:string
SecurityContext: capabilities:*Capabilities, privileged:*bool, seLinuxOptions:*SELinuxOptions, windowsOptions:*WindowsSecurityContextOptions, runAsUser:*int, runAsGroup:*int, runAsNonRoot:*bool, readOnlyRootFilesystem:*bool, allowPrivilegeEscalation:*bool, procMount:*string, seccompProfile:*SeccompProfile, appArmorProfile:*AppArmorProfile
Capabilities: add:[]string, drop:[]string
SELinuxOptions: user:string, role:string, type:string, level:string
WindowsSecurityContextOptions: gmsaCredentialSpecName:*string, gmsaCredentialSpec:*string, runAsUserName:*string, hostProcess:*bool
SeccompProfile: type!:string, localhostProfile:*string
AppArmorProfile: type!:string, localhostProfile:*string
WorkspaceUsage: name!:string, mountPath!:string
StepOutputConfig: path:string
Ref: name:string, resolver:string, params:[]Param
StepResult: name!:string, type:string, properties:map[string]PropertySpec, description:string
WhenExpression: input:string, operator:string, values:[]string, cel:string
Volume: name!:string, hostPath:*HostPathVolumeSource, emptyDir:*EmptyDirVolumeSource, gcePersistentDisk:*GCEPersistentDiskVolumeSource, awsElasticBlockStore:*AWSElasticBlockStoreVolumeSource, gitRepo:*GitRepoVolumeSource, secret:*SecretVolumeSource, nfs:*NFSVolumeSource, iscsi:*ISCSIVolumeSource, glusterfs:*GlusterfsVolumeSource, persistentVolumeClaim:*PersistentVolumeClaimVolumeSource, rbd:*RBDVolumeSource, flexVolume:*FlexVolumeSource, cinder:*CinderVolumeSource, cephfs:*CephFSVolumeSource, flocker:*FlockerVolumeSource, downwardAPI:*DownwardAPIVolumeSource, fc:*FCVolumeSource, azureFile:*AzureFileVolumeSource, configMap:*ConfigMapVolumeSource, vsphereVolume:*VsphereVirtualDiskVolumeSource, quobyte:*QuobyteVolumeSource, azureDisk:*AzureDiskVolumeSource, photonPersistentDisk:*PhotonPersistentDiskVolumeSource, projected:*ProjectedVolumeSource, portworxVolume:*PortworxVolumeSource, scaleIO:*ScaleIOVolumeSource, storageos:*StorageOSVolumeSource, csi:*CSIVolumeSource, ephemeral:*EphemeralVolumeSource, image:*ImageVolumeSource
HostPathVolumeSource: path!:string, type:*string
EmptyDirVolumeSource: medium:string, sizeLimit:*quantity
GCEPersistentDiskVolumeSource: pdName!:string, fsType:string, partition:int, readOnly:bool
AWSElasticBlockStoreVolumeSource: volumeID!:string, fsType:string, partition:int, readOnly:bool
GitRepoVolumeSource: repository!:string, revision:string, directory:string
SecretVolumeSource: secretName:string, items:[]KeyToPath, defaultMode:*int, optional:*bool
KeyToPath: key!:string, path!:string, mode:*int
NFSVolumeSource: server!:string, path!:string, readOnly:bool
ISCSIVolumeSource: targetPortal!:string, iqn!:string, lun!:int, iscsiInterface:string, fsType:string, readOnly:bool, portals:[]string, chapAuthDiscovery:bool, chapAuthSession:bool, secretRef:*LocalObjectReference, initiatorName:*string
LocalObjectReference: name:string
GlusterfsVolumeSource: endpoints!:string, path!:string, readOnly:bool
PersistentVolumeClaimVolumeSource: claimName!:string, readOnly:bool
RBDVolumeSource: monitors!:[]string, image!:string, fsType:string, pool:string, user:string, keyring:string, secretRef:*LocalObjectReference, readOnly:bool
FlexVolumeSource: driver!:string, fsType:string, secretRef:*LocalObjectReference, readOnly:bool, options:map[string]string
CinderVolumeSource: volumeID!:string, fsType:string, readOnly:bool, secretRef:*LocalObjectReference
CephFSVolumeSource: monitors!:[]string, path:string, user:string, secretFile:string, secretRef:*LocalObjectReference, readOnly:bool
FlockerVolumeSource: datasetName:string, datasetUUID:string
DownwardAPIVolumeSource: items:[]DownwardAPIVolumeFile, defaultMode:*int
DownwardAPIVolumeFile: path!:string, fieldRef:*ObjectFieldSelector, resourceFieldRef:*ResourceFieldSelector, mode:*int
FCVolumeSource: targetWWNs:[]string, lun:*int, fsType:string, readOnly:bool, wwids:[]string
AzureFileVolumeSource: secretName!:string, shareName!:string, readOnly:bool
ConfigMapVolumeSource: name:string, items:[]KeyToPath, defaultMode:*int, optional:*bool
VsphereVirtualDiskVolumeSource: volumePath!:string, fsType:string, storagePolicyName:string, storagePolicyID:string
QuobyteVolumeSource: registry!:string, volume!:string, readOnly:bool, user:string, group:string, tenant:string
AzureDiskVolumeSource: diskName!:string, diskURI!:string, cachingMode:*string, fsType:*string, readOnly:*bool, kind:*string
PhotonPersistentDiskVolumeSource: pdID!:string, fsType:string
ProjectedVolumeSource: sources!:[]VolumeProjection, defaultMode:*int
VolumeProjection: secret:*SecretProjection, downwardAPI:*DownwardAPIProjection, configMap:*ConfigMapProjection, serviceAccountToken:*ServiceAccountTokenProjection, clusterTrustBundle:*ClusterTrustBundleProjection, podCertificate:*PodCertificateProjection
SecretProjection: name:string, items:[]KeyToPath, optional:*bool
DownwardAPIProjection: items:[]DownwardAPIVolumeFile
ConfigMapProjection: name:string, items:[]KeyToPath, optional:*bool
ServiceAccountTokenProjection: audience:string, expirationSeconds:*int, path!:string
ClusterTrustBundleProjection: name:*string, signerName:*string, labelSelector:*LabelSelector, optional:*bool, path!:string
LabelSelector: matchLabels:map[string]string, matchExpressions:[]LabelSelectorRequirement
LabelSelectorRequirement: key!:string, operator!:string, values:[]string
PodCertificateProjection: signerName:string, keyType:string, maxExpirationSeconds:*int, credentialBundlePath:string, keyPath:string, certificateChainPath:string, userAnnotations:map[string]string
PortworxVolumeSource: volumeID!:string, fsType:string, readOnly:bool
ScaleIOVolumeSource: gateway!:string, system!:string, secretRef!:*LocalObjectReference, sslEnabled:bool, protectionDomain:string, storagePool:string, storageMode:string, volumeName:string, fsType:string, readOnly:bool
StorageOSVolumeSource: volumeName:string, volumeNamespace:string, fsType:string, readOnly:bool, secretRef:*LocalObjectReference
CSIVolumeSource: driver!:string, readOnly:*bool, fsType:*string, volumeAttributes:map[string]string, nodePublishSecretRef:*LocalObjectReference
EphemeralVolumeSource: volumeClaimTemplate:*PersistentVolumeClaimTemplate
PersistentVolumeClaimTemplate: metadata!:ObjectMeta, spec!:PersistentVolumeClaimSpec
PersistentVolumeClaimSpec: accessModes:[]string, selector:*LabelSelector, resources!:VolumeResourceRequirements, volumeName:string, storageClassName:*string, volumeMode:*string, dataSource:*TypedLocalObjectReference, dataSourceRef:*TypedObjectReference, volumeAttributesClassName:*string
VolumeResourceRequirements: limits:map[string]quantity, requests:map[string]quantity
TypedLocalObjectReference: apiGroup!:*string, kind!:string, name!:string
TypedObjectReference: apiGroup!:*string, kind!:string, name!:string, namespace:*string
ImageVolumeSource: reference:string, pullPolicy:string
StepTemplate: image:string, command:[]string, args:[]string, workingDir:string, envFrom:[]EnvFromSource, env:[]EnvVar, computeResources!:ResourceRequirements, volumeMounts:[]VolumeMount, volumeDevices:[]VolumeDevice, imagePullPolicy:string, securityContext:*SecurityContext
Sidecar: name!:string, image:string, command:[]string, args:[]string, workingDir:string, ports:[]ContainerPort, envFrom:[]EnvFromSource, env:[]EnvVar, computeResources!:ResourceRequirements, volumeMounts:[]VolumeMount, volumeDevices:[]VolumeDevice, livenessProbe:*Probe, readinessProbe:*Probe, startupProbe:*Probe, lifecycle:*Lifecycle, terminationMessagePath:string, terminationMessagePolicy:string, imagePullPolicy:string, securityContext:*SecurityContext, stdin:bool, stdinOnce:bool, tty:bool, script:string, workspaces:[]WorkspaceUsage, restartPolicy:*string
ContainerPort: name:string, hostPort:int, containerPort!:int, protocol:string, hostIP:string
Probe: exec:*ExecAction, httpGet:*HTTPGetAction, tcpSocket:*TCPSocketAction, grpc:*GRPCAction, initialDelaySeconds:int, timeoutSeconds:int, periodSeconds:int, successThreshold:int, failureThreshold:int, terminationGracePeriodSeconds:*int
ExecAction: command:[]string
HTTPGetAction: path:string, port!:intOrString, host:string, scheme:string, httpHeaders:[]HTTPHeader
HTTPHeader: name!:string, value!:string
TCPSocketAction: port!:intOrString, host:string
GRPCAction: port!:int, service!:*string
Lifecycle: postStart:*LifecycleHandler, preStop:*LifecycleHandler, stopSignal:*string
LifecycleHandler: exec:*ExecAction, httpGet:*HTTPGetAction, tcpSocket:*TCPSocketAction, sleep:*SleepAction
SleepAction: seconds!:int
WorkspaceDeclaration: name!:string, description:string, mountPath:string, readOnly:bool, optional:bool
TaskResult: name!:string, type:string, properties:map[string]PropertySpec, description:string, value:*value
PodTemplate: nodeSelector:map[string]string, env:[]EnvVar, tolerations:[]Toleration, affinity:*Affinity, securityContext:*PodSecurityContext, volumes:[]Volume, runtimeClassName:*string, automountServiceAccountToken:*bool, dnsPolicy:*string, dnsConfig:*PodDNSConfig, enableServiceLinks:*bool, priorityClassName:*string, schedulerName:string, imagePullSecrets:[]LocalObjectReference, hostAliases:[]HostAlias, hostNetwork:bool, hostUsers:*bool, topologySpreadConstraints:[]TopologySpreadConstraint
Toleration: key:string, operator:string, value:string, effect:string, tolerationSeconds:*int
Affinity: nodeAffinity:*NodeAffinity, podAffinity:*PodAffinity, podAntiAffinity:*PodAntiAffinity
NodeAffinity: requiredDuringSchedulingIgnoredDuringExecution:*NodeSelector, preferredDuringSchedulingIgnoredDuringExecution:[]PreferredSchedulingTerm
NodeSelector: nodeSelectorTerms!:[]NodeSelectorTerm
NodeSelectorTerm: matchExpressions:[]NodeSelectorRequirement, matchFields:[]NodeSelectorRequirement
NodeSelectorRequirement: key!:string, operator!:string, values:[]string
PreferredSchedulingTerm: weight!:int, preference!:NodeSelectorTerm
PodAffinity: requiredDuringSchedulingIgnoredDuringExecution:[]PodAffinityTerm, preferredDuringSchedulingIgnoredDuringExecution:[]WeightedPodAffinityTerm
PodAffinityTerm: labelSelector:*LabelSelector, namespaces:[]string, topologyKey!:string, namespaceSelector:*LabelSelector, matchLabelKeys:[]string, mismatchLabelKeys:[]string
WeightedPodAffinityTerm: weight!:int, podAffinityTerm!:PodAffinityTerm
PodAntiAffinity: requiredDuringSchedulingIgnoredDuringExecution:[]PodAffinityTerm, preferredDuringSchedulingIgnoredDuringExecution:[]WeightedPodAffinityTerm
PodSecurityContext: seLinuxOptions:*SELinuxOptions, windowsOptions:*WindowsSecurityContextOptions, runAsUser:*int, runAsGroup:*int, runAsNonRoot:*bool, supplementalGroups:[]int, supplementalGroupsPolicy:*string, fsGroup:*int, sysctls:[]Sysctl, fsGroupChangePolicy:*string, seccompProfile:*SeccompProfile, appArmorProfile:*AppArmorProfile, seLinuxChangePolicy:*string
Sysctl: name!:string, value!:string
PodDNSConfig: nameservers:[]string, searches:[]string, options:[]PodDNSConfigOption
PodDNSConfigOption: name:string, value:*string
HostAlias: ip!:string, hostnames:[]string
TopologySpreadConstraint: maxSkew!:int, topologyKey!:string, whenUnsatisfiable!:string, labelSelector:*LabelSelector, minDomains:*int, nodeAffinityPolicy:*string, nodeTaintsPolicy:*string, matchLabelKeys:[]string
WorkspaceBinding: name!:string, subPath:string, volumeClaimTemplate:*PersistentVolumeClaim, persistentVolumeClaim:*PersistentVolumeClaimVolumeSource, emptyDir:*EmptyDirVolumeSource, configMap:*ConfigMapVolumeSource, secret:*SecretVolumeSource, projected:*ProjectedVolumeSource, csi:*CSIVolumeSource
PersistentVolumeClaim: kind:string, apiVersion:string, metadata!:ObjectMeta, spec!:PersistentVolumeClaimSpec, status!:PersistentVolumeClaimStatus
PersistentVolumeClaimStatus: phase:string, accessModes:[]string, capacity:map[string]quantity, conditions:[]PersistentVolumeClaimCondition, allocatedResources:map[string]quantity, allocatedResourceStatuses:map[string]string, currentVolumeAttributesClassName:*string, modifyVolumeStatus:*ModifyVolumeStatus
PersistentVolumeClaimCondition: type!:string, status!:string, lastProbeTime!:time, lastTransitionTime!:time, reason:string, message:string
ModifyVolumeStatus: targetVolumeAttributesClassName:string, status!:string
TaskRunStepSpec: name!:string, computeResources!:ResourceRequirements
TaskRunSidecarSpec: name!:string, computeResources!:ResourceRequirements
TaskRunStatus: observedGeneration:int, conditions:[]Condition, annotations:map[string]string, podName!:string, startTime:*time, completionTime:*time, steps:[]StepState, retriesStatus:[]TaskRunStatus, results:[]TaskRunResult, artifacts:*Artifacts, sidecars:[]SidecarState, taskSpec:*TaskSpec, provenance:*Provenance, spanContext:map[string]string
Condition: type!:string, status!:string, severity:string, lastTransitionTime!:time, reason:string, message:string
StepState: waiting:*ContainerStateWaiting, running:*ContainerStateRunning, terminated:*ContainerStateTerminated, name:string, container:string, imageID:string, results:[]TaskRunResult, provenance:*Provenance, terminationReason:string, inputs:[]Artifact, outputs:[]Artifact
ContainerStateWaiting: reason:string, message:string
ContainerStateRunning: startedAt!:time
ContainerStateTerminated: exitCode!:int, signal:int, reason:string, message:string, startedAt!:time, finishedAt!:time, containerID:string
TaskRunResult: name!:string, type:string, value!:value
Provenance: refSource:*RefSource, featureFlags:*FeatureFlags
RefSource: uri:string, digest:map[string]string, entryPoint:string
FeatureFlags: disableCredsInit:bool, runningInEnvWithInjectedSidecars:bool, requireGitSSHSecretKnownHosts:bool, enableAPIFields:string, sendCloudEventsForRuns:bool, awaitSidecarReadiness:bool, enforceNonfalsifiability:string, enableKeepPodOnCancel:bool, verificationNoMatchPolicy:string, enableProvenanceInStatus:bool, resultExtractionMethod:string, maxResultSize:int, setSecurityContext:bool, setSecurityContextReadOnlyRootFilesystem:bool, coschedule:string, enableCELInWhenExpression:bool, enableStepActions:bool, enableParamEnum:bool, enableArtifacts:bool, disableInlineSpec:string, enableConciseResolverSyntax:bool, enableKubernetesSidecar:bool, enableWaitExponentialBackoff:bool, enableTerminationMessageCompression:bool, enableTektonOCIBundles:*bool
Artifact: name:string, values:[]ArtifactValue, buildOutput:bool
ArtifactValue: digest:map[string]string, uri:string
Artifacts: inputs:[]Artifact, outputs:[]Artifact
SidecarState: waiting:*ContainerStateWaiting, running:*ContainerStateRunning, terminated:*ContainerStateTerminated, name:string, container:string, imageID:string
PipelineRun: kind:string, apiVersion:string, metadata!:ObjectMeta, spec!:PipelineRunSpec, status!:PipelineRunStatus
PipelineRunSpec: pipelineRef:*PipelineRef, pipelineSpec:*PipelineSpec, params:[]Param, status:string, timeouts:*TimeoutFields, taskRunTemplate!:PipelineTaskRunTemplate, workspaces:[]WorkspaceBinding, taskRunSpecs:[]PipelineTaskRunSpec, managedBy:*string
PipelineRef: name:string, apiVersion:string, resolver:string, params:[]Param
PipelineSpec: displayName:string, description:string, tasks:[]PipelineTask, params:[]ParamSpec, workspaces:[]PipelineWorkspaceDeclaration, results:[]PipelineResult, finally:[]PipelineTask
PipelineTask: name:string, displayName:string, description:string, taskRef:*TaskRef, taskSpec:*EmbeddedTask, when:[]WhenExpression, retries:int, runAfter:[]string, params:[]Param, matrix:*Matrix, workspaces:[]WorkspacePipelineTaskBinding, timeout:*duration, pipelineRef:*PipelineRef, pipelineSpec:*PipelineSpec, onError:string
EmbeddedTask: apiVersion:string, kind:string, spec!:raw, metadata!:PipelineTaskMetadata, params:[]ParamSpec, displayName:string, description:string, steps:[]Step, volumes:[]Volume, stepTemplate:*StepTemplate, sidecars:[]Sidecar, workspaces:[]WorkspaceDeclaration, results:[]TaskResult
PipelineTaskMetadata: labels:map[string]string, annotations:map[string]string
Matrix: params:[]Param, include:[]IncludeParams
IncludeParams: name:string, params:[]Param
WorkspacePipelineTaskBinding: name!:string, workspace:string, subPath:string
PipelineWorkspaceDeclaration: name!:string, description:string, optional:bool
PipelineResult: name!:string, type:string, description!:string, value!:value
TimeoutFields: pipeline:*duration, tasks:*duration, finally:*duration
PipelineTaskRunTemplate: podTemplate:*PodTemplate, serviceAccountName:string
PipelineTaskRunSpec: pipelineTaskName:string, serviceAccountName:string, podTemplate:*PodTemplate, stepSpecs:[]TaskRunStepSpec, sidecarSpecs:[]TaskRunSidecarSpec, metadata:*PipelineTaskMetadata, computeResources:*ResourceRequirements, timeout:*duration
PipelineRunStatus: observedGeneration:int, conditions:[]Condition, annotations:map[string]string, startTime:*time, completionTime:*time, results:[]PipelineRunResult, pipelineSpec:*PipelineSpec, skippedTasks:[]SkippedTask, childReferences:[]ChildStatusReference, finallyStartTime:*time, provenance:*Provenance, spanContext:map[string]string
PipelineRunResult: name!:string, value!:value
SkippedTask: name!:string, reason!:string, whenExpressions:[]WhenExpression
ChildStatusReference: apiVersion:string, kind:string, name:string, displayName:string, pipelineTaskName:string, whenExpressions:[]WhenExpression
`;
