using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Zqfp.Quantization;

namespace Zqfp.Tool;

/// <summary>Writes an Indexed Job whose pods are shards, and a Job for the merge, which is suspended until somebody resumes it.</summary>
internal static class KubernetesManifest
{
    private const int Tries = 30;

    private static readonly JsonSerializerOptions Plain = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The manifest, as YAML.</summary>
    /// <param name="commands">What the pods run.</param>
    /// <param name="tool">How the tool is started, as a shell reads it.</param>
    /// <param name="image">The image.</param>
    /// <param name="claim">The claim of the volume that all of them share.</param>
    /// <param name="mount">Where the volume is mounted.</param>
    /// <param name="file">Where the manifest is written to.</param>
    public static string Of(ShardCommands commands, string tool, string image, string claim, string mount, string file)
    {
        string count = commands.Count.ToString(CultureInfo.InvariantCulture);
        string name = commands.Name;
        return $"""
            # Shards, then the merge, which is suspended until they are done. What is indented here starts both, one after the other:
            # sh -c "$(sed -n 's/^#   //p' {ShellText.Quote(file)})"
            {Commands(name, ShellText.Quote(file))}
            apiVersion: batch/v1
            kind: Job
            metadata:
              name: {Quote(name + "-shards")}
            spec:
              completionMode: Indexed
              completions: {count}
              parallelism: {count}
              backoffLimitPerIndex: 4
              podFailurePolicy:
                rules:
                  - action: Ignore
                    onPodConditions:
                      - type: DisruptionTarget
                  - action: FailJob
                    onExitCodes:
                      containerName: shard
                      operator: In
                      values: [{ExitCodes.Usage}, {ExitCodes.Model}]
              template:
            {Pod(commands, "shard", commands.Shard, tool, image, claim, mount)}---
            apiVersion: batch/v1
            kind: Job
            metadata:
              name: {Quote(name + "-merge")}
            spec:
              suspend: true
              backoffLimit: 4
              template:
            {Pod(commands, "merge", commands.Merge, tool, image, claim, mount)}
            """.ReplaceLineEndings("\n").TrimEnd() + "\n";
    }

    /// <summary>
    /// Starts the shards, waits until their Job has ended, well or not, and starts the merge. Jobs that are there are not applied again:
    /// that would suspend a merge that runs. A Job of which nothing is known is not waited
    /// for without end; one that is known may take its time.
    /// </summary>
    private static string Commands(string name, string file) => $$$"""
        kubectl get job/{{{name}}}-shards >/dev/null 2>&1 || kubectl apply -f {{{file}}} || exit 1
        tries={{{Tries}}}
        while [ $tries -gt 0 ]; do
          if state=$(kubectl get job/{{{name}}}-shards -o jsonpath='{.status.conditions[?(@.status=="True")].type}')
          then tries={{{Tries}}}; else tries=$((tries - 1)); fi
          case $state in
            *Complete*) exec kubectl patch job/{{{name}}}-merge --type=strategic --patch '{"spec":{"suspend":false}}';;
            *Failed*) echo "job/{{{name}}}-shards has failed, the merge was not started: kubectl describe job/{{{name}}}-shards" >&2
                echo "to start again: kubectl delete job/{{{name}}}-shards job/{{{name}}}-merge, then this" >&2
                exit 1;;
          esac
          sleep 10
        done
        echo "kubectl told nothing of job/{{{name}}}-shards in {{{Tries}}} tries, the merge was not started" >&2
        exit 1
        """.ReplaceLineEndings("\n#   ").Insert(0, "#   ");

    private static string Pod(
        ShardCommands commands, string container, IReadOnlyList<string> arguments, string tool, string image, string claim, string mount)
    {
        var text = new StringBuilder();
        string line = $"exec {tool} {string.Join(' ', arguments.Select(ShellText.Quote))}";
        text.Append(CultureInfo.InvariantCulture, $"""
                spec:
                  restartPolicy: Never
                  containers:
                    - name: {container}
                      image: {Quote(image)}
                      workingDir: {Quote(mount)}
                      command: ["/bin/sh", "-c", {Quote(line)}]
                      env:
                        - name: {Shard.CountVariable}
                          value: "{commands.Count}"
                      volumeMounts:
                        - name: data
                          mountPath: {Quote(mount)}

            """);
        string[] requests =
        [
            .. commands.Options.Threads > 0 ? [Request($"cpu: \"{commands.Options.Threads}\"")] : (string[])[],
            .. commands.Options.Memory is { } memory ? [Request($"memory: \"{memory}\"")] : (string[])[],
        ];
        if (requests.Length > 0 || commands.NeedsGpu)
        {
            text.Append("          resources:\n");
        }

        if (requests.Length > 0)
        {
            text.Append("            requests:\n").AppendJoin("", requests);
        }

        if (commands.NeedsGpu)
        {
            // Of a GPU the request is the limit.
            text.Append("            limits:\n").Append(Request($"nvidia.com/gpu: \"1\""));
        }

        return text.Append(CultureInfo.InvariantCulture, $"""
                  volumes:
                    - name: data
                      persistentVolumeClaim:
                        claimName: {Quote(claim)}

            """).ToString();
    }

    private static string Request(FormattableString line) =>
        "              " + line.ToString(CultureInfo.InvariantCulture) + "\n";

    /// <summary>A text of JSON is one of YAML.</summary>
    private static string Quote(string text) => JsonSerializer.Serialize(text, Plain);
}
