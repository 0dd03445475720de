using k8s;
using k8s.Models;

namespace Zqfp.Tool.Tests;

public sealed class SubmitTests
{
    private static readonly string[] Quantize =
    [
        "model.onnx", "-o", "out/My Model.onnx", "--tokenizer", "t.json", "--calibration", "it's.txt", "--calibrate-on", "float", "--work",
        "work", "--threads", "16", "--result", "r.json",
    ];

    [Fact]
    public void The_manifest_is_one_that_the_API_reads_with_no_field_that_it_does_not_know()
    {
        string yaml = Kubernetes();
        object[] objects = [.. KubernetesYaml.LoadAllFromString(yaml, strict: true)];
        Assert.Equal(2, objects.Length);
        V1Job shards = Assert.IsType<V1Job>(objects[0]);
        V1Job merge = Assert.IsType<V1Job>(objects[1]);

        Assert.Equal(("Indexed", 8, 8, "my-model-shards"),
            (shards.Spec.CompletionMode, shards.Spec.Completions, shards.Spec.Parallelism, shards.Metadata.Name));
        Assert.Equal(["/bin/sh", "-c"], Container(shards).Command.Take(2));
        Assert.Equal(
            "exec dotnet zqfp quantize model.onnx -o 'out/My Model.onnx' --tokenizer t.json --calibration 'it'\\''s.txt' "
            + "--calibrate-on float --work work --threads 16 --shard auto",
            Container(shards).Command[2]);
        Assert.Equal(("ZQFP_SHARDS", "8"), (Container(shards).Env[0].Name, Container(shards).Env[0].Value));
        Assert.Equal("16", Container(shards).Resources.Requests["cpu"].ToString());
        Assert.Equal("/data", Container(shards).VolumeMounts[0].MountPath);
        Assert.Equal("models", shards.Spec.Template.Spec.Volumes[0].PersistentVolumeClaim.ClaimName);
        Assert.Equal([2, 11], shards.Spec.PodFailurePolicy.Rules[1].OnExitCodes.Values);

        Assert.Equal((true, "my-model-merge"), (merge.Spec.Suspend, merge.Metadata.Name));
        Assert.EndsWith("--result r.json --merge --shards 8", Container(merge).Command[2], StringComparison.Ordinal);
    }

    [Fact]
    public void On_a_GPU_each_task_asks_for_one_in_a_manifest_and_in_a_script()
    {
        string[] kubernetes = ["--kubernetes", "--shards", "8", "--image", "i", "--claim", "c"];
        foreach (string device in (string[])["cuda", "cuda-products"])
        {
            string yaml = WrittenOf([.. Quantize, "--device", device], kubernetes);
            Assert.All(KubernetesYaml.LoadAllFromString(yaml, strict: true).Cast<V1Job>(), job =>
            {
                Assert.Equal("1", Container(job).Resources.Limits["nvidia.com/gpu"].ToString());
                Assert.Equal("16", Container(job).Resources.Requests["cpu"].ToString());
            });
        }

        string[] onGpu = [.. Quantize, "--device", "cuda"];
        Assert.Equal(3, WrittenOf(onGpu, "--slurm", "--shards", "8").Split("--gpus-per-node=1").Length);
        Assert.DoesNotContain("--gpus-per-node", WrittenOf(onGpu, "--slurm", "--shards", "8", "--sbatch=--gres=gpu:h100:1"),
            StringComparison.Ordinal);
        Assert.DoesNotContain("--gpus-per-node", WrittenOf(onGpu, "--slurm", "--shards", "8", "--sbatch=--gpus-per-task=1"),
            StringComparison.Ordinal);
        Assert.DoesNotContain("--gpus", Written("--slurm", "--shards", "8"), StringComparison.Ordinal);
    }

    [Fact]
    public void The_check_of_the_manifest_sees_a_field_that_is_wrong() => Assert.ThrowsAny<Exception>(() =>
        KubernetesYaml.LoadAllFromString(Kubernetes().Replace("completions:", "completion:", StringComparison.Ordinal), strict: true));

    [Fact]
    public void The_script_submits_an_array_and_a_merge_that_depends_on_it()
    {
        string script = Written("--slurm", "--shards", "8", "--sbatch=--partition=long", "--sbatch=--time=1-0");
        string[] lines = script.Split('\n');
        Assert.Equal(2, lines.Count(line => line.Contains("--partition=long --time=1-0 <<'", StringComparison.Ordinal)));
        Assert.Contains("--array=0-7 --requeue --cpus-per-task=16", script, StringComparison.Ordinal);
        Assert.Contains("\"--dependency=afterok:$array\" --kill-on-invalid-dep=yes", script, StringComparison.Ordinal);
        string shard = Assert.Single(lines, line => line.EndsWith("--shard auto", StringComparison.Ordinal));
        Assert.DoesNotContain("--result", shard, StringComparison.Ordinal);
        Assert.Contains(lines, line => line.EndsWith("--merge --shards 8", StringComparison.Ordinal));
    }

    [UnixFact]
    public void A_shell_passes_the_arguments_on_as_they_were()
    {
        string[] arguments = ["plain", "it's", "a b", "$HOME", "", "*", "\"", "ü", "\\"];
        using var shell = System.Diagnostics.Process.Start(new System.Diagnostics.ProcessStartInfo("sh",
            ["-c", $"printf '%s\\n' {string.Join(' ', arguments.Select(ShellText.Quote))}"])
        { RedirectStandardOutput = true })!;
        Assert.Equal(string.Join('\n', arguments) + "\n", shell.StandardOutput.ReadToEnd());
    }

    [Theory]
    [InlineData("ZQFP0042", "--shard", "1/4")]
    [InlineData("ZQFP0042", "--merge")]
    [InlineData("ZQFP0042", "--no-such-option")]
    [InlineData("ZQFP0042", "--device", "cuda", "--gpu", "1")]
    [InlineData("ZQFP0040", "--bits", "4.5")]
    public void What_cannot_be_submitted_is_told(string code, params string[] more)
    {
        ToolProcess result = ToolProcess.Run(["submit", "--slurm", "--shards", "4", "--", .. Quantize, .. more]);
        Assert.Equal((10, ""), (result.ExitCode, result.Output));
        Assert.Contains($"error {code}", result.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--shards", "4")]
    [InlineData("--shards", "4", "--slurm", "--kubernetes")]
    [InlineData("--shards", "4", "--kubernetes", "--image", "i")]
    [InlineData("--shards", "0", "--slurm")]
    public void A_command_without_what_it_needs_is_wrong(params string[] options) =>
        Assert.Equal(2, ToolProcess.Run(["submit", .. options, "--", .. Quantize]).ExitCode);

    private static V1Container Container(V1Job job) => Assert.Single(job.Spec.Template.Spec.Containers);

    private static string Kubernetes() =>
        Written("--kubernetes", "--shards", "8", "--image", "registry.example/zqfp:1", "--claim", "models");

    private static string Written(params string[] options) => WrittenOf(Quantize, options);

    private static string WrittenOf(string[] quantize, params string[] options)
    {
        ToolProcess result = ToolProcess.Run(["submit", .. options, "--", .. quantize]);
        Assert.True(result.ExitCode == 0, result.Error);
        return result.Output;
    }
}
