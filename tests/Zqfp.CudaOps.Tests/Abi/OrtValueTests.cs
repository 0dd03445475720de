using System.IO.MemoryMappedFiles;

namespace Zqfp.CudaOps.Tests;

public sealed class OrtValueTests : IDisposable
{
    private readonly OrtEnvironment _environment = new();

    public void Dispose() => _environment.Dispose();

    [Theory]
    [InlineData(OrtElementType.Float4E2M1, new long[] { 3, 3 }, 5)]
    [InlineData(OrtElementType.UInt4, new long[] { 0, 3 }, 0)]
    [InlineData(OrtElementType.Float8E4M3FN, new long[] { 2, 2 }, 4)]
    [InlineData(OrtElementType.Float16, new long[] { }, 2)]
    [InlineData(OrtElementType.Int64, new long[] { 2 }, 16)]
    public void Counts_bytes_as_the_runtime_does(OrtElementType type, long[] shape, long bytes)
    {
        using var value = OrtValue.Allocate(_environment, type, shape);
        Assert.Equal(bytes, value.ByteLength);
        Assert.Equal(bytes, value.AsBytes().Length);
        Assert.Equal(shape, value.Shape.ToArray());
        Assert.Equal(type, value.ElementType);
    }

    [Fact]
    public void Keeps_half_precision_values()
    {
        Half[] values = [(Half)1.5f, Half.NaN, Half.MaxValue];
        using var value = OrtValue.Create<Half>(_environment, values, [3]);
        Assert.Equal(values, value.AsReadOnlySpan<Half>().ToArray());
        Assert.Throws<InvalidOperationException>(() => value.AsReadOnlySpan<float>().Length);
    }

    [Fact]
    public void Refuses_content_that_does_not_fit_the_shape()
    {
        Assert.Throws<ArgumentException>(() => OrtValue.Create<float>(_environment, [1, 2], [3]));
        Assert.Throws<ArgumentException>(() => OrtValue.FromMemory<byte>(_environment, new byte[7], OrtElementType.Float, [2]));
        Assert.Throws<ArgumentOutOfRangeException>(() => OrtValue.Allocate(_environment, OrtElementType.Float, [-1]));
    }

    [Fact]
    public void Borrowed_memory_is_the_same_memory()
    {
        float[] memory = [1, 2, 3];
        using var value = OrtValue.FromMemory<float>(_environment, memory, OrtElementType.Float, [3]);
        memory[1] = 7;
        Assert.Equal([1, 7, 3], value.AsReadOnlySpan<float>().ToArray());
        value.AsSpan<float>()[0] = 5;
        Assert.Equal(5, memory[0]);
    }

    [Theory]
    [InlineData(OrtElementType.Float, 64 * 4)]
    [InlineData(OrtElementType.Float16, 64 * 2)]
    [InlineData(OrtElementType.UInt8, 64)]
    [InlineData(OrtElementType.Int64, 64 * 8)]
    public unsafe void Mapped_weights_serve_as_external_initializers_without_a_copy(OrtElementType type, int length)
    {
        // The model names a data file that does not exist: the content can only come from the mapping.
        string file = Path.GetTempFileName();
        byte[] content = new byte[length];
        new Random(7).NextBytes(content);
        File.WriteAllBytes(file, content);
        var mapping = MemoryMappedFile.CreateFromFile(file, FileMode.Open, null, 0, MemoryMappedFileAccess.Read);
        var view = mapping.CreateViewAccessor(0, length, MemoryMappedFileAccess.Read);
        byte* start = null;
        view.SafeMemoryMappedViewHandle.AcquirePointer(ref start);

        var value = OrtValue.FromMemory(_environment, (nint)start, length, type, [64], view.SafeMemoryMappedViewHandle);
        byte[] model = Onnx.Model(
            [Onnx.Node("", "Gather", ["w", "i"], ["y"])],
            [Onnx.Value("i", Onnx.Int64, "n")],
            [Onnx.Value("y", (int)type, "n")],
            [Onnx.ExternalTensor("w", (int)type, [64], "absent.data", length)]);
        var options = new OrtSessionOptions().AddExternalInitializers(["w"], [value]);
        using var session = OrtSession.Create(_environment, model, options);

        // Session and value rest on the view: giving it up here must not unmap it.
        value.Dispose();
        view.SafeMemoryMappedViewHandle.ReleasePointer();
        view.Dispose();
        mapping.Dispose();
        File.Delete(file);

        long[] order = [.. Enumerable.Range(0, 64).Select(i => (long)i).Reverse()];
        using var indices = OrtValue.Create<long>(_environment, order, [64]);
        using OrtValue output = session.Run(["i"], [indices], ["y"])[0];
        int size = length / 64;
        Assert.Equal(content.Chunk(size).Reverse().SelectMany(element => element), output.AsBytes().ToArray());
    }

    [Theory]
    [InlineData(OrtElementType.UInt8)]
    [InlineData(OrtElementType.Float8E4M3FN)]
    public void A_session_reads_an_external_initializer_where_it_lies(OrtElementType type)
    {
        // ONNX Runtime copies tensors of at most 127 bytes into the graph.
        byte[] memory = new byte[4096];
        using var value = OrtValue.FromMemory<byte>(_environment, memory, type, [4096]);
        byte[] model = Onnx.Model(
            [Onnx.Node("", "Reshape", ["w", "s"], ["y"])],
            [Onnx.Value("s", Onnx.Int64, 1)],
            [Onnx.Value("y", (int)type, "n")],
            [Onnx.ExternalTensor("w", (int)type, [4096], "absent.data", 4096)]);
        using var session = OrtSession.Create(_environment, model, new OrtSessionOptions().AddExternalInitializers(["w"], [value]));
        memory[2000] = 9;
        using var shape = OrtValue.Create<long>(_environment, [4096L], [1]);
        using OrtValue output = session.Run(["s"], [shape], ["y"])[0];
        Assert.Equal(memory, output.AsBytes().ToArray());
    }

    [Fact]
    public void Pinned_memory_is_let_go_when_the_value_goes()
    {
        WeakReference Make()
        {
            byte[] memory = new byte[64];
            using var value = OrtValue.FromMemory<byte>(_environment, memory, OrtElementType.UInt8, [64]);
            return new WeakReference(memory);
        }
        WeakReference memory = Make();
        GC.Collect();
        GC.WaitForPendingFinalizers();
        GC.Collect();
        Assert.False(memory.IsAlive);
    }
}
