using System.CommandLine;

namespace Zqfp.Tool;

/// <summary><c>dotnet zqfp submit</c>: writes what a cluster is given, and gives it nothing.</summary>
internal static class SubmitCommand
{
    public static Command Create()
    {
        var arguments = new Argument<string[]>("QUANTIZE")
        {
            Description = "Behind --, the model and the options of 'quantize', with --work",
            Arity = ArgumentArity.OneOrMore,
        };
        var command = new Command(
            "submit", "Write the batch script (Slurm) or the manifest (Kubernetes) of a quantization in shards; nothing is submitted")
        {
            arguments,
        };
        var options = new CommandOptions(command, OptionCommands.Submit);
        command.Validators.Add(result =>
        {
            bool isSlurm = result.GetResult(options["--slurm"]) is not null;
            bool isKubernetes = result.GetResult(options["--kubernetes"]) is not null;
            if (isSlurm == isKubernetes)
            {
                result.AddError("Name one of --slurm and --kubernetes.");
            }
            else if (isKubernetes && (result.GetResult(options["--image"]) is null || result.GetResult(options["--claim"]) is null))
            {
                result.AddError("--kubernetes needs --image, in which the tool is, and --claim, the volume that all pods share.");
            }
        });
        HelpText.Extend(command, HelpText.Examples(
            "dotnet zqfp submit --slurm --shards 8 -o submit.sh -- model.onnx -o out/model.onnx --tokenizer tokenizer.json "
            + "--calibration train.txt --calibrate-on float --work work --threads 16",
            "dotnet zqfp submit --kubernetes --shards 8 --image registry.example/zqfp:1 --claim models -o jobs.yaml -- model.onnx -o "
            + "out/model.onnx --tokenizer tokenizer.json --calibration train.txt --calibrate-on float --work work --threads 16"));
        command.SetAction(result =>
        {
            GivenOptions given = options.Of(result);
            return Job.Run(given, (_, _) =>
            {
                var commands = ShardCommands.Of(result.GetRequiredValue(arguments), given.Whole("--shards"), given.Text("--name"));
                string text = given.Flag("--slurm")
                    ? SlurmScript.Of(commands, given.Required("--tool"), given.List("--sbatch"))
                    : KubernetesManifest.Of(commands, given.Required("--tool"), given.Required("--image"), given.Required("--claim"),
                        given.Required("--mount"), given.Text("--output") ?? "FILE");
                Write(given.Text("--output"), text);
                return ExitCodes.Success;
            });
        });
        return command;
    }

    private static void Write(string? path, string text)
    {
        if (path is null)
        {
            Console.Out.Write(text);
            return;
        }

        if (WritablePlace.ProblemOfFile(path) is { } problem)
        {
            throw new ZqfpException("ZQFP0002", $"'{path}' cannot be written: {problem} Choose another --output.", path);
        }

        WholeFile.WriteText(path, text);
        Console.Out.WriteLine(path);
    }
}
