# Has TensorFlow Serving loaded every version that a label of its configuration names? The startup probe in Kubernetes.
#
# Its own health does not tell: it opens its ports as soon as any one version of each model is there (ServerCore waits
# for "the latest", HasAnyServableInStreamReachedState in its core/servable_state_monitor.cc), and in the middle of a
# change there are two. The metadata of a label, by its REST API, are a 404 until that label's version is available.
#
# bash ready.sh [CONFIGURATION [PORT]]. Needs nothing but bash: the image has no curl.
config=${1:-/serving_config/models.kubernetes.config}
port=${2:-8501}

text=
while IFS= read -r line || [[ -n $line ]]; do
    [[ $line =~ ^[[:space:]]*# ]] || text+=$line
done <"$config" || exit 1

model=
labels=0
# The names of models, and behind each the keys of its labels, in the order in which they stand.
while [[ $text =~ (name|key)[[:space:]]*:[[:space:]]*\"([^\"]+)\" ]]; do
    text=${text#*"${BASH_REMATCH[0]}"}
    if [[ ${BASH_REMATCH[1]} == name ]]; then
        model=${BASH_REMATCH[2]}
        continue
    fi
    path=/v1/models/$model/labels/${BASH_REMATCH[2]}/metadata
    status=
    exec 3<>"/dev/tcp/127.0.0.1/$port" || exit 1
    printf 'GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' "$path" >&3
    read -r -t 3 status <&3
    exec 3>&-
    if [[ $status != *" 200 "* ]]; then
        echo "$path: ${status:-no answer}"
        exit 1
    fi
    labels=$((labels + 1))
done

# A configuration without labels, or one that could not be read this way, must not count as ready.
[[ $labels -gt 0 ]]
