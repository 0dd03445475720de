using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;

namespace Zqfp.Tool.Tests;

/// <summary>Folders that <c>quantize --for genai</c> writes, in ONNX Runtime GenAI: the sample as a process of its own.</summary>
public sealed partial class GenAiTests : IDisposable
{
    private const string Reference = "models/tinystories-llama-3.7m/genai-fp32";

    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>The graph, which needs no data beside the repository: a decoder with a cache that it does not read.</summary>
    [Fact]
    public void A_generated_model_runs_in_every_profile()
    {
        string source = Path.Combine(_folder, "float");
        Directory.CreateDirectory(source);
        TinyDecoder.Write(source, isCached: true);
        File.Copy(SampleTokenizer, Path.Combine(source, "tokenizer.json"));
        File.WriteAllText(Path.Combine(source, "tokenizer_config.json"), "{}");
        File.WriteAllText(Path.Combine(source, "genai_config.json"), TinyConfig);
        int before = Generate(source, "12345", 20).Tokens;
        foreach (string profile in Profiles)
        {
            Assert.InRange(Generate(Quantize(source, profile, "--method", "rtn", "--rank", "2"), "12345", 20).Tokens, 1, 20);
        }

        Assert.InRange(before, 1, 20);
    }

    /// <summary>What a model that wrote stories writes when it is quantized is still made of the words of stories.</summary>
    [ReferenceFact(Reference)]
    public void Stories_are_told_in_every_profile()
    {
        string source = Path.Combine(_folder, "float");
        Directory.CreateDirectory(source);
        foreach (string file in Directory.EnumerateFiles(Repository.Reference(Reference)))
        {
            File.Copy(file, Path.Combine(source, Path.GetFileName(file)));
        }

        File.Copy(SampleTokenizer, Path.Combine(source, "tokenizer.json"));
        File.WriteAllText(Path.Combine(source, "tokenizer_config.json"), "{}");
        HashSet<string> known = [.. Words(File.ReadAllText(Repository.Path("samples/ModelProject/data/tinystories-calibration.txt")))];
        AssertTellsStory(source, known);
        foreach (string profile in Profiles)
        {
            AssertTellsStory(Quantize(source, profile, "--method", "rtn"), known);
        }
    }

    private static string SampleTokenizer => Repository.Path("samples/ModelProject/model/tokenizer.json");

    /// <summary>The native library, where it was published: without it the profile custom cannot run in GenAI.</summary>
    private static string Library
    {
        get
        {
            string extension = OperatingSystem.IsWindows() ? "dll" : OperatingSystem.IsMacOS() ? "dylib" : "so";
            return Repository.Path(
                $"artifacts/publish/Zqfp.CudaOps.Native/release_{RuntimeInformation.RuntimeIdentifier}/zqfp_ops.{extension}");
        }
    }

    private static IEnumerable<string> Profiles => File.Exists(Library) ? ["custom", "stock", "portable"] : ["stock", "portable"];

    private static string TinyConfig => $$"""
        {
          "model": {
            "type": "llama", "vocab_size": {{TinyDecoder.Vocabulary}}, "context_length": 128, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0,
            "decoder": {
              "filename": "tiny.onnx", "session_options": {}, "hidden_size": 32, "head_size": 4,
              "num_attention_heads": 1, "num_key_value_heads": 1, "num_hidden_layers": 1,
              "inputs": {
                "input_ids": "input_ids", "attention_mask": "attention_mask",
                "past_key_names": "past_key_values.%d.key", "past_value_names": "past_key_values.%d.value"
              },
              "outputs": { "logits": "logits", "present_key_names": "present.%d.key", "present_value_names": "present.%d.value" }
            }
          },
          "search": { "max_length": 128, "past_present_share_buffer": false }
        }
        """;

    private static void AssertTellsStory(string folder, HashSet<string> known)
    {
        string[] words = [.. Words(Generate(folder, "Once upon a time, there was a little girl named Lily.", 80).Text)];
        Assert.InRange(words.Length, 30, 200);
        Assert.True(words.Count(known.Contains) > 0.9 * words.Length, string.Join(' ', words));
        Assert.InRange(words.Distinct().Count(), 15, 200);
    }

    private static IEnumerable<string> Words(string text) => Word().Matches(text).Select(match => match.Value);

    [GeneratedRegex("[A-Za-z]+")]
    private static partial Regex Word();

    private string Quantize(string source, string profile, params string[] options)
    {
        string output = Path.Combine(_folder, profile);
        string[] library = profile == "custom" ? ["--operators-library", Library] : [];
        ToolProcess result =
            ToolProcess.Run(["quantize", source, "-o", output, "--for", "genai", "--profile", profile, .. library, .. options]);
        Assert.True(result.ExitCode == 0, result.Error);
        return output;
    }

    private static (string Text, int Tokens) Generate(string folder, string prompt, int tokens)
    {
        string configuration = Path.GetFileName(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory));
        string sample = Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "..", "..", "GenAi", configuration, "GenAi.dll"));
        using Process process = Process.Start(new ProcessStartInfo(
            Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet",
            [sample, folder, prompt, tokens.ToString(CultureInfo.InvariantCulture)])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        ToolProcess result = ToolProcess.Finish(process);
        Assert.True(result.ExitCode == 0, $"{folder}: {result.Error}");
        return (result.Output, int.Parse(Regex.Match(result.Error, "([0-9]+) tokens, ").Groups[1].Value, CultureInfo.InvariantCulture));
    }
}
