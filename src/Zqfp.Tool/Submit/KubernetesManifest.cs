using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Zqfp.Quantization;

namespace Zqfp.Tool;

/// <summary>Writes an Indexed Job whose pods are shards, and a Job for the merge, which is suspended until somebody resumes it.</summary>
internal static class KubernetesManifest
{
    private static readonly JsonSerializerOptions Plain = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The manifest, as YAML.</summary>
    /// <param name="commands">What the pods run.</param>
    /// <param name="tool">How the tool is started, as a shell reads it.</param>
    /// <param name="image">The image.</param>
    /// <param name="claim">The claim of the volume that all of them share.</param>
    /// <param name="mount">Where the volume is mounted.</param>
    public static string Of(ShardCommands commands, string tool, string image, string claim, string mount)
    {
        string count = commands.Count.ToString(CultureInfo.InvariantCulture);
        string name = commands.Name;
        return $"""
            # Shards, then the merge, which is suspended until they are done. The shell waits until the Job has ended, well or not:
            #   kubectl apply -f FILE
            #   until kubectl get job/{name}-shards -o jsonpath='{Ended}' | grep -E 'Complete|Failed'; do sleep 10; done
            #   kubectl wait --for=condition=complete --timeout=0 job/{name}-shards &&
            #   kubectl patch job/{name}-merge --type=strategic --patch '{Resume}'
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

    private const string Ended = "{.status.conditions[?(@.status==\"True\")].type}";
    private const string Resume = "{\"spec\":{\"suspend\":false}}";

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
