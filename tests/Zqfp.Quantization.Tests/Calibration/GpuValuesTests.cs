using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using Zqfp.CudaOps;
using Zqfp.Evaluation;
using Zqfp.Quantization;

namespace Zqfp.Tests;

/// <summary>Values that a GPU gives, with a driver whose device memory is the processor's.</summary>
public sealed unsafe class GpuValuesTests : IDisposable
{
    private const long Large = 1 << 20;

    private readonly CudaContext _context = new(new DriverApi(Function), 0);
    private readonly PinnedPool _pool;
    private readonly float* _onDevice = (float*)NativeMemory.AllocZeroed(4 * sizeof(float));

    public GpuValuesTests() => _pool = new PinnedPool(_context);

    public void Dispose()
    {
        _pool.Dispose();
        _context.Dispose();
        NativeMemory.Free(_onDevice);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void What_lies_on_the_device_is_copied_and_kept(bool isSpilled)
    {
        string folder = Directory.CreateTempSubdirectory().FullName;
        try
        {
            using (var values = new BatchValues(2, isSpilled ? new ScratchPlace(Path.Combine(folder, "x")) : null, _pool))
            {
                values.Set(0, OnDevice(1, 2, 3, 4));
                values.Set(1, OnDevice(5, 6, 7, 8));
                _onDevice[0] = -1;
                using BatchValues.Loan first = values.Open(0);
                using BatchValues.Loan second = values.Open(1);
                Assert.Equal([1, 2, 3, 4], first.Value.GetTensorDataAsSpan<float>().ToArray());
                Assert.Equal([5, 6, 7, 8], second.Value.GetTensorDataAsSpan<float>().ToArray());
                Assert.Equal([2, 2], first.Value.GetTensorTypeAndShape().Shape);
                Assert.Equal((4, 2), (values.Length(0), values.RowLength(1)));
            }

            Assert.Empty(Directory.GetFiles(folder));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void Values_of_the_processor_stay_where_they_are()
    {
        using var values = new BatchValues(1, null, _pool);
        values.Set(0, OrtValue.CreateTensorValueFromMemory([3f, 4f], [2]));
        using BatchValues.Loan loan = values.Open(0);
        Assert.Equal([3, 4], loan.Value.GetTensorDataAsSpan<float>().ToArray());
        Assert.Equal(0, _pool.LentBytes);
    }

    [Fact]
    public void A_value_without_elements_is_one()
    {
        using var values = new BatchValues(1, null, _pool);
        values.Set(0, OrtValue.CreateTensorValueWithData(Place(), TensorElementType.Float, [0, 7], 0, 0));
        using BatchValues.Loan loan = values.Open(0);
        Assert.Equal([0, 7], loan.Value.GetTensorTypeAndShape().Shape);
    }

    [Fact]
    public void Memory_is_lent_again_and_not_to_much_smaller_values()
    {
        PinnedBlock first = _pool.Rent(Large);
        first.Dispose();
        using PinnedBlock again = _pool.Rent(Large - 5);
        using PinnedBlock small = _pool.Rent(Large / 2);
        Assert.Equal(first.Address, again.Address);
        Assert.Equal((Large * 3 / 2, 0), (_pool.LentBytes, _pool.IdleBytes));
    }

    [Fact]
    public void What_is_given_back_twice_is_lent_once()
    {
        PinnedBlock first = _pool.Rent(Large);
        first.Dispose();
        using PinnedBlock second = _pool.Rent(Large);
        first.Dispose();
        using PinnedBlock third = _pool.Rent(Large);
        Assert.NotEqual(second.Address, third.Address);
    }

    [Fact]
    public void Idle_memory_of_other_sizes_is_freed_before_more_is_locked()
    {
        PinnedBlock[] large = [.. Enumerable.Range(0, 8).Select(_ => _pool.Rent(Large))];
        Array.ForEach(large, block => block.Dispose());
        Assert.Equal((0, 8 * Large), (_pool.LentBytes, _pool.IdleBytes));
        PinnedBlock[] small = [.. Enumerable.Range(0, 8).Select(_ => _pool.Rent(Large / 2))];
        Assert.Equal(4 * Large, _pool.LentBytes);
        Assert.InRange(_pool.IdleBytes, 0, _pool.LentBytes / PinnedPool.IdleShare);
        Array.ForEach(small, block => block.Dispose());
    }

    [Fact]
    public void Blocks_may_outlive_the_pool()
    {
        var pool = new PinnedPool(_context, threads: 1);
        PinnedBlock block = pool.Rent(Large);
        pool.Dispose();
        block.Dispose();
        Assert.Equal((0, 0), (pool.LentBytes, pool.IdleBytes));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Where_pages_cannot_be_locked_ordinary_memory_serves(bool isLocked)
    {
        using var context = new CudaContext(
            new DriverApi(name => name == "cuMemHostRegister_v2" && !isLocked ? Refusing() : Function(name)), 0);
        using var pool = new PinnedPool(context);
        using PinnedBlock block = pool.Rent(100);
        Assert.Equal(isLocked, block.IsLocked);
        new Span<byte>((void*)block.Address, 100).Fill(1);
    }

    private OrtValue OnDevice(params float[] values)
    {
        values.CopyTo(new Span<float>(_onDevice, values.Length));
        return OrtValue.CreateTensorValueWithData(Place(), TensorElementType.Float, [2, 2], (nint)_onDevice, values.Length * sizeof(float));
    }

    private static OrtMemoryInfo Place() => new(ModelSession.GpuMemory, OrtAllocatorType.DeviceAllocator, 0, OrtMemType.Default);

    private static nint Refusing() => (nint)(delegate* unmanaged<void*, nuint, uint, int>)&Refuse;

    private static nint Function(string name) => name switch
    {
        "cuMemcpyDtoHAsync_v2" => (nint)(delegate* unmanaged<void*, void*, nuint, nint, int>)&Copy,
        _ => NullDriver.Answer(name),
    };

    [UnmanagedCallersOnly]
    private static int Refuse(void* address, nuint bytes, uint flags) => 2;

    [UnmanagedCallersOnly]
    private static int Copy(void* target, void* source, nuint bytes, nint stream)
    {
        NativeMemory.Copy(source, target, bytes);
        return 0;
    }
}
