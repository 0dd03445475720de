
namespace Zqfp.CudaOps.Tests;

public sealed class OrtSessionTests : IDisposable
{
    private static readonly byte[] Adding = Onnx.Model(
        [Onnx.Node("", "Add", ["x", "b"], ["y"])],
        [Onnx.Value("x", Onnx.Float, "batch", 3)],
        [Onnx.Value("y", Onnx.Float, "batch", 3)],
        [Onnx.Tensor("b", Onnx.Float, [3], Onnx.Raw(1, 2, 3))],
        metadata: [("zqfp.format", "fp4"), ("other", "ü")]);

    private readonly OrtEnvironment _environment = new();

    public void Dispose() => _environment.Dispose();

    [Fact]
    public void Finds_the_library_beside_the_application()
    {
        var library = OrtLibrary.Load();
        Assert.StartsWith(AppContext.BaseDirectory, library.Path);
        Assert.Contains(Path.Combine("runtimes", ""), library.Path);
        Assert.Equal("1.30.0", library.Version);
    }

    [Fact]
    public void A_missing_library_is_a_coded_error()
    {
        var error = Assert.Throws<ZqfpException>(() => OrtLibrary.Load("no/such/library.so"));
        Assert.Equal("ZQFP4003", error.Code);
        Assert.Contains("library.so", error.Message);
    }

    [Fact]
    public void A_file_that_is_no_library_is_a_coded_error()
    {
        string file = Path.GetTempFileName();
        try
        {
            Assert.Equal("ZQFP4003", Assert.Throws<ZqfpException>(() => OrtLibrary.Load(file)).Code);
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Theory]
    [InlineData("1.23.0", true)]
    [InlineData("1.30.0", true)]
    [InlineData("1.31.0-dev-20260101", true)]
    [InlineData("1.22.2", false)]
    [InlineData("2.0.0", false)]
    [InlineData("not a version", false)]
    public void Accepts_the_versions_whose_API_it_was_made_for(string version, bool accepted)
    {
        ZqfpException? error = Record.Exception(() => OrtVersion.Check(version)) as ZqfpException;
        Assert.Equal(accepted, error is null);
        Assert.Equal(accepted ? null : "ZQFP4004", error?.Code);
    }

    [Fact]
    public void Tells_names_types_dimensions_and_metadata()
    {
        using var session = OrtSession.Create(_environment, Adding);
        OrtValueInfo input = Assert.Single(session.Inputs);
        Assert.Equal(("x", OrtElementType.Float), (input.Name, input.ElementType));
        Assert.Equal([new OrtDimension(null, "batch"), new OrtDimension(3, null)], input.Dimensions);
        Assert.Equal("y", Assert.Single(session.Outputs).Name);
        Assert.Equal("fp4", session.Metadata["zqfp.format"]);
        Assert.Equal("ü", session.Metadata["other"]);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(5)]
    public void Runs_a_model_also_over_empty_tensors(int rows)
    {
        using var session = OrtSession.Create(_environment, Adding, new OrtSessionOptions { IntraOpThreads = 1, AllowSpinning = false, MemoryPattern = false });
        float[] x = [.. Enumerable.Range(0, 3 * rows).Select(i => (float)i)];
        using var input = OrtValue.Create<float>(_environment, x, [rows, 3]);
        using OrtValue output = Assert.Single(session.Run(["x"], [input], ["y"]));
        Assert.Equal([rows, 3], output.Shape.ToArray());
        Assert.Equal(x.Select((value, i) => value + 1 + (i % 3)), output.AsReadOnlySpan<float>().ToArray());
    }

    [Fact]
    public void Runs_from_many_threads_after_everything_it_rests_on_is_disposed()
    {
        var environment = new OrtEnvironment();
        using var session = OrtSession.Create(environment, Adding, new OrtSessionOptions { IntraOpThreads = 1 });
        var input = OrtValue.Create<float>(environment, [1, 1, 1], [1, 3]);
        environment.Dispose();
        Parallel.For(0, 200, new ParallelOptions { MaxDegreeOfParallelism = 4 }, i =>
        {
            using OrtValue output = session.Run(["x"], [input], ["y"])[0];
            Assert.Equal([2, 3, 4], output.AsReadOnlySpan<float>().ToArray());
            if (i % 16 == 0)
            {
                GC.Collect();
            }
        });
        input.Dispose();
        input.Dispose();
        Assert.Throws<ObjectDisposedException>(() => input.AsBytes().Length);
    }

    [Fact]
    public void A_model_that_cannot_be_loaded_is_a_coded_error_with_the_runtimes_words()
    {
        Assert.Equal("ZQFP4005", Assert.Throws<ZqfpException>(() => OrtSession.Create(_environment, [1, 2, 3])).Code);
        var error = Assert.Throws<ZqfpException>(() => OrtSession.Create(_environment, "no-such-model.onnx"));
        Assert.Contains("no-such-model.onnx", error.Message);
    }

    [Fact]
    public void A_wrong_name_is_told_before_the_run()
    {
        using var session = OrtSession.Create(_environment, Adding);
        using var input = OrtValue.Create<float>(_environment, [1, 1, 1], [1, 3]);
        Assert.Contains("'x'", Assert.Throws<ArgumentException>(() => session.Run(["z"], [input], ["y"])).Message);
        Assert.Contains("'y'", Assert.Throws<ArgumentException>(() => session.Run(["x"], [input], ["z"])).Message);
        Assert.Throws<ArgumentException>(() => session.Run(["x"], [], ["y"]));
    }

    [Fact]
    public void An_input_of_the_wrong_shape_is_a_coded_error()
    {
        using var session = OrtSession.Create(_environment, Adding);
        using var input = OrtValue.Create<float>(_environment, [1, 1], [1, 2]);
        Assert.Equal("ZQFP4005", Assert.Throws<ZqfpException>(() => session.Run(["x"], [input], ["y"])).Code);
    }

    [Fact]
    public async Task Cancellation_ends_a_run_under_way()
    {
        const int Layers = 400;
        var nodes = new List<byte[]>();
        for (int i = 0; i < Layers; i++)
        {
            nodes.Add(Onnx.Node("", "MatMul", [$"v{i}", "x"], [$"v{i + 1}"]));
        }
        byte[] model = Onnx.Model([Onnx.Node("", "Identity", ["x"], ["v0"]), .. nodes], [Onnx.Value("x", Onnx.Float, 768, 768)], [Onnx.Value($"v{Layers}", Onnx.Float, 768, 768)]);
        using var session = OrtSession.Create(_environment, model, new OrtSessionOptions { IntraOpThreads = 1 });
        using var input = OrtValue.Allocate(_environment, OrtElementType.Float, [768, 768]);
        input.AsBytes().Clear();
        using var cancellation = new CancellationTokenSource(TimeSpan.FromMilliseconds(50));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Task.Run(() => session.Run(["x"], [input], [$"v{Layers}"], cancellation.Token)));
        Assert.Throws<OperationCanceledException>(() => session.Run(["x"], [input], [$"v{Layers}"], cancellation.Token));
    }
}
