using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;

namespace Zqfp.CudaOps.Tests;

/// <summary>A test of the published native library; skips where it was not published.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class NativeLibraryFactAttribute : FactAttribute
{
    public NativeLibraryFactAttribute()
    {
        string platform = RuntimeInformation.RuntimeIdentifier;
        string extension = OperatingSystem.IsWindows() ? "dll" : OperatingSystem.IsMacOS() ? "dylib" : "so";
        Path = Repository.Path($"artifacts/publish/Zqfp.CudaOps.Native/release_{platform}/zqfp_ops.{extension}");
        Skip = File.Exists(Path) ? null : $"Not published: {Path}. Run dotnet publish src/Zqfp.CudaOps.Native -c Release.";
    }

    public string Path { get; }
}

[Collection(AloneDefinition.Name)]
public sealed class NativeLibraryTests
{
    private const int N = 70, K = 96;

    private static string Library => new NativeLibraryFactAttribute().Path;

    private static byte[] Model
    {
        get
        {
            Product product = new Product { Operator = OperatorNames.MatMulW4A8, M = 1, N = N, K = K, GroupSize = 32 }.Fill(9);
            return Onnx.Model(
                [
                    Onnx.Node("zqfp", OperatorNames.QuantizeTokens, ["x"], ["xq", "sx"]),
                    Onnx.Node("zqfp", OperatorNames.MatMulW4A8, ["xq", "sx", "w", "e", "s"], ["y"], Onnx.Attribute("group_size", 32)),
                ],
                [Onnx.Value("x", Onnx.Float, "m", K)],
                [Onnx.Value("y", Onnx.Float, "m", N)],
                [
                    Onnx.Tensor("w", Onnx.Float4E2M1, [N, K], product.W), Onnx.Tensor("e", Onnx.UInt8, [N, 3], product.E),
                    Onnx.Tensor("s", Onnx.Float, [N], Onnx.Raw(product.S)),
                ]);
        }
    }

    [NativeLibraryFact]
    public void Loads_unloads_and_loads_again_with_the_same_results_and_without_growth()
    {
        byte[] model = Model;
        float[] expected;
        using (SessionOptions options = new SessionOptions().AddZqfpOperators())
        {
            expected = Run(model, options);
        }

        long afterTen = 0;
        for (int round = 0; round < 60; round++)
        {
            Assert.Equal(expected, Run(model, WithLibrary()));
            if (round == 9)
            {
                afterTen = Environment.WorkingSet;
            }
        }
        Assert.InRange(Environment.WorkingSet - afterTen, long.MinValue, 32L << 20);
    }

    [NativeLibraryFact]
    public void A_program_in_C_runs_a_quantized_model()
    {
        if (!OperatingSystem.IsLinux())
        {
            return;
        }
        string folder = Directory.CreateTempSubdirectory("zqfp-c-").FullName;
        try
        {
            string program = Path.Combine(folder, "run_model"), model = Path.Combine(folder, "model.onnx");
            File.WriteAllBytes(model, Model);
            Execute("cc", "-O2", Repository.Path("src/Zqfp.CudaOps.Native/example/run_model.c"), "-o", program, "-ldl");
            string output = Execute(program, LoadedOnnxRuntime.Find().Path, Library, model, "2", $"{K}");
            float[] expected = Run(File.ReadAllBytes(model), new SessionOptions().AddZqfpOperators());
            Assert.Equal(expected,
                output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => float.Parse(line, CultureInfo.InvariantCulture)));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static float[] Run(byte[] model, SessionOptions options)
    {
        using var session = new InferenceSession(model, options);
        using var x = OrtValue.CreateTensorValueFromMemory<float>([.. Enumerable.Range(0, 2 * K).Select(i => i % 8 / 8f)], [2, K]);
        using OrtValue y = session.Run(["x"], [x], ["y"])[0];
        return y.GetTensorDataAsSpan<float>().ToArray();
    }

    private static SessionOptions WithLibrary()
    {
        var options = new SessionOptions();
        options.RegisterCustomOpLibrary(Library);
        return options;
    }

    private static string Execute(string program, params string[] arguments)
    {
        using var process =
            Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, error.Result);
        return output;
    }
}
