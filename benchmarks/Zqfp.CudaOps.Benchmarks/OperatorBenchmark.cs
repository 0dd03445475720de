using System.Globalization;
using System.Text.Json;
using Microsoft.ML.OnnxRuntime;

namespace Zqfp.Benchmarks;

/// <summary>Says where whole models spend their time, operator by operator, as ONNX Runtime's profile has it.</summary>
internal sealed class OperatorBenchmark(Func<SessionOptions> options)
{
    private const int Rounds = 16;

    /// <summary>Of each node the median of its runs; nodes of an operator added up.</summary>
    /// <param name="models">The models, which run by turns.</param>
    /// <param name="length">Tokens of the prompt; with a key-value cache, tokens to write one by one.</param>
    public void Measure(IReadOnlyList<string> models, int length)
    {
        string folder = Directory.CreateTempSubdirectory("zqfp-profile").FullName;
        InferenceSession[] sessions = [.. models.Select((model, i) => Open(model, Path.Combine(folder, $"{i}")))];
        Generator[] generators =
            [.. sessions.Select((session, i) => new Generator(session, Path.GetDirectoryName(Path.GetFullPath(models[i]))!))];
        for (int round = 0; round < Rounds; round++)
        {
            foreach ((InferenceSession session, Generator generator) in sessions.Zip(generators))
            {
                if (generator.HasCache)
                {
                    generator.Generate(first: 1, length);
                }
                else
                {
                    PromptBenchmark.Run(session, length);
                }
            }
        }

        Console.WriteLine("| model | operator | nodes | ms | of all |");
        Console.WriteLine("|:--|:--|--:|--:|--:|");
        for (int i = 0; i < sessions.Length; i++)
        {
            Print(models[i], Read(sessions[i].EndProfiling()));
            sessions[i].Dispose();
        }

        Directory.Delete(folder, recursive: true);
    }

    private InferenceSession Open(string model, string prefix)
    {
        using SessionOptions made = options();
        made.EnableProfiling = true;
        made.ProfileOutputPathPrefix = prefix;
        return new InferenceSession(model, made);
    }

    private static void Print(string model, List<(string Operator, double Seconds)> nodes)
    {
        double all = nodes.Sum(node => node.Seconds);
        foreach (var group in nodes.GroupBy(node => node.Operator).OrderByDescending(group => group.Sum(node => node.Seconds)))
        {
            double seconds = group.Sum(node => node.Seconds);
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"| {model} | {group.Key} | {group.Count()} | {seconds * 1e3:0.00} | {seconds / all:0.000} |"));
        }

        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| {model} | all | {nodes.Count} | {all * 1e3:0.00} | |"));
    }

    /// <summary>Each node's operator, with the number of columns of a product, and its median.</summary>
    private static List<(string Operator, double Seconds)> Read(string profile)
    {
        using var document = JsonDocument.Parse(File.ReadAllBytes(profile));
        return
        [
            .. document.RootElement.EnumerateArray()
                .Where(item => item.GetProperty("cat").GetString() == "Node"
                    && item.GetProperty("name").GetString()!.EndsWith("_kernel_time", StringComparison.Ordinal))
                .GroupBy(item => item.GetProperty("name").GetString())
                .Select(runs => (Name(runs.First().GetProperty("args")),
                    Statistics.Median([.. runs.Skip(2).Select(item => item.GetProperty("dur").GetDouble() * 1e-6)]))),
        ];
    }

    private static string Name(JsonElement arguments)
    {
        string operation = arguments.GetProperty("op_name").GetString()!;
        if (!operation.Contains("MatMul", StringComparison.Ordinal))
        {
            return operation;
        }

        string output = arguments.GetProperty("output_type_shape").GetRawText();
        string input = arguments.GetProperty("input_type_shape")[0].GetRawText();
        return $"{operation} {Last(input)} to {Last(output)}";
    }

    /// <summary>The last dimension of the first shape.</summary>
    private static string Last(string shapes)
    {
        int start = shapes.IndexOf('[', shapes.IndexOf(':', StringComparison.Ordinal)), end = shapes.IndexOf(']', start);
        return shapes[(start + 1)..end].Split(',')[^1];
    }
}
